"""The trees of an ONNX model: that they are trees, and not so deep that walking them ends the process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MAX_TREE_NODES = 2_000_000
MAX_TREE_DEPTH = 1_000
"""ONNX Runtime walks trees by recursion: a chain of 100,000 nodes ends its process, whatever asked for it."""


def tree_problems(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Trees that are no trees: lists of unequal length, children that are not there, cycles, chains."""
    import numpy as np

    ints = ("nodes_treeids", "nodes_nodeids", "nodes_truenodeids", "nodes_falsenodeids", "nodes_featureids")
    if any(name not in attributes for name in (*ints, "nodes_modes")):
        yield "its trees lack a list of nodes"
        return
    modes = attributes["nodes_modes"].strings
    lists = {name: np.asarray(attributes[name].ints, dtype=np.int64) for name in ints}
    if len({len(modes), *map(len, lists.values())}) != 1 or not len(modes):
        yield "its trees' lists of nodes differ in length, or are empty"
        return
    if len(modes) > MAX_TREE_NODES:
        yield f"its trees have {len(modes)} nodes, more than {MAX_TREE_NODES}"
    if any(((one < 0) | (one >= 2**31)).any() for one in lists.values()):
        yield "its trees number nodes or features below 0 or beyond 32 bits"
        return
    leaves = np.fromiter((mode == b"LEAF" for mode in modes), dtype=bool, count=len(modes))
    yield from _shape_problems(
        lists["nodes_treeids"], lists["nodes_nodeids"], lists["nodes_truenodeids"], lists["nodes_falsenodeids"], leaves
    )


def _shape_problems(trees: Any, nodes: Any, truths: Any, falses: Any, leaves: Any) -> Iterator[str]:
    import numpy as np

    keys = trees << 31 | nodes
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    if (ranked[1:] == ranked[:-1]).any():
        yield "its trees number two nodes alike"
        return
    children = np.stack([trees << 31 | truths, trees << 31 | falses])[:, ~leaves]
    at = np.searchsorted(ranked, children).clip(max=len(ranked) - 1)
    if (ranked[at] != children).any():
        yield "a branch of its trees leads to a node that is not there"
        return
    below = np.full((2, len(keys)), -1)
    below[:, ~leaves] = order[at]
    if (np.bincount(order[at].ravel(), minlength=len(keys)) > 1).any():
        yield "two branches of its trees lead to one node"
        return
    yield from _depth_problems(below, np.unique(trees, return_index=True)[1])


def _depth_problems(below: Any, roots: Any) -> Iterator[str]:
    """From the roots down, a level at a time: what no root reaches goes round in a circle."""
    level, seen, depth = roots, 0, 0
    while len(level) and depth <= MAX_TREE_DEPTH and seen <= below.shape[1]:
        seen, depth = seen + len(level), depth + 1
        level = below[:, level].ravel()
        level = level[level >= 0]
    if len(level) and depth > MAX_TREE_DEPTH:
        yield f"its trees are more than {MAX_TREE_DEPTH} levels deep"
    elif seen != below.shape[1]:
        yield "its trees have nodes that no root leads to"
