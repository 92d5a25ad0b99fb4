"""What a pipeline is read for: a commit, an event, the variables and inputs of who asks; and the file as it is in that commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from seatrial.errors import PipelineError, UsageError
from seatrial.merge_base import git


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A repository at one commit, and what is asked of it.

    `head` is that commit, `base` the one that it left `default_branch` at, `branch` empty where HEAD is detached; `slug` is owner/name;
    `event` is empty where the file is to choose.
    """

    head: str
    base: str
    branch: str
    default_branch: str
    slug: str
    actor: str
    event: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


def describe(root: Path, *, actor: str, event: str, variables: Mapping[str, str], inputs: Mapping[str, str]) -> Source:
    """The repository around `root` at HEAD; PipelineError where there is no commit."""
    head = git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if head is None:
        raise PipelineError(f"{root.name} has no commit, and clones are made of one", hint="commit first")
    default = (git(root, "rev-parse", "--abbrev-ref", "origin/HEAD") or "").removeprefix("origin/") or "main"
    base = git(root, "merge-base", "HEAD", f"origin/{default}") or git(root, "merge-base", "HEAD", default) or head
    branch = git(root, "symbolic-ref", "--quiet", "--short", "HEAD") or ""
    slug = f"local/{root.name}"
    return Source(
        head=head,
        base=base,
        branch=branch,
        default_branch=default,
        slug=slug,
        actor=actor,
        event=event,
        variables=variables,
        inputs=inputs,
    )


def uncommitted(root: Path) -> list[str]:
    """The files that differ from HEAD, and those that git does not know yet."""
    asked = (("diff", "--name-only", "-z", "HEAD"), ("ls-files", "--others", "--exclude-standard", "-z"))
    return sorted({name for one in asked for name in (git(root, *one) or "").split("\0") if name})


def committed_yaml(root: Path, path: str) -> dict[Any, Any]:
    """A YAML file as it is in HEAD; UsageError where HEAD has none of that name, or it is no mapping."""
    text = git(root, "show", f"HEAD:./{path}")
    if text is None:
        raise UsageError(f"HEAD has no file {path}", hint="commit it first: clones are made of what is committed")
    try:
        found = yaml.load(text, Loader=_Loader)  # noqa: S506 - the safe loader, with one tag more
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    return dict(as_mapping(found, path))


class _Loader(yaml.SafeLoader):
    """YAML with GitLab's `!reference`, which stands for a value at another place of the file."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The place that a `!reference` names."""

    place: tuple[str, ...]


def _reference(loader: yaml.SafeLoader, node: yaml.Node) -> Reference:
    if not isinstance(node, yaml.SequenceNode):
        raise yaml.YAMLError("!reference needs a list")
    return Reference(tuple(map(str, loader.construct_sequence(node))))


_Loader.add_constructor("!reference", _reference)


def as_mapping(value: Any, place: str) -> Mapping[Any, Any]:
    """The value as a mapping (nothing is an empty one); UsageError where it is something else."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UsageError(f"{place}: a mapping is expected, not {value!r}")
    return value


def texts(value: Any) -> dict[str, str]:
    """A mapping of settings with every value as the forge passes it on: as text."""
    found = as_mapping(value, "settings")
    return {str(name): str(one).lower() if isinstance(one, bool) else "" if one is None else str(one) for name, one in found.items()}
