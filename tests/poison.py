"""Poisoned bundles, made here and now: each maker turns a good bundle into one that must be refused.

Whoever forges a bundle can hash as well as we can, so nearly all of them have a canonical manifest with right hashes. Code
that a maker hides would write the canary file if anything ran it.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from seatrial.bundle import MANIFEST, MODEL, load_bundle
from seatrial.errors import BundleError
from seatrial.files import canonical_json, sha256_bytes
from seatrial.serving.runtime import Runtime
from seatrial.serving.server import check_golden

HANGS_AFTER = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The bundle to poison, a folder outside it, and the file that code from a bundle would write."""

    folder: Path
    outside: Path
    canary: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """How a bundle is poisoned, what the refusal must say, and whether it may take the process with it (then it gets its own)."""

    make: Callable[[Place], None]
    words: str
    bomb: bool


POISONS: dict[str, Poison] = {}


def poison(words: str, *, bomb: bool = False) -> Callable[[Callable[[Place], None]], Callable[[Place], None]]:
    def keep(make: Callable[[Place], None]) -> Callable[[Place], None]:
        POISONS[make.__name__] = Poison(make=make, words=words, bomb=bomb)
        return make

    return keep


def several(cases: dict[str, tuple[Any, str]], *, bomb: bool = False) -> Callable[[Callable[[Place, Any], None]], Any]:
    """One poison for each case: its value is the maker's second argument, its words are the refusal's."""

    def keep(make: Callable[[Place, Any], None]) -> Any:
        for name, (value, words) in cases.items():
            POISONS[f"{make.__name__}-{name}"] = Poison(make=_bound(make, value), words=words, bomb=bomb)
        return make

    return keep


def _bound(make: Callable[[Place, Any], None], value: Any) -> Callable[[Place], None]:
    return lambda place: make(place, value)


def load_whole(folder: Path) -> None:
    """Load a bundle as a server does before it listens."""
    check_golden(Runtime(load_bundle(folder)))


def measure(folder: Path) -> dict[str, Any]:
    """Load a bundle and say what came of it: the refusal, the seconds, the most memory that this process ever had, in MB."""
    begin, said = time.perf_counter(), None
    try:
        load_whole(folder)
    except BundleError as error:
        said = str(error)
    # Not getrusage: its peak is inherited from the process that started this one.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {"said": said, "seconds": time.perf_counter() - begin, "megabytes": int(peak.split()[1]) / 1000}


def main() -> None:
    """For each folder named on standard input, measure in a process of its own, and print a line of JSON: imports are paid for once."""
    import onnxruntime  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.alarm(HANGS_AFTER)
            print(json.dumps(measure(Path(line.rstrip("\n")))), flush=True)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != 0:
            print(json.dumps({"said": None, "died": status}), flush=True)


class Code:
    """Unpickled, it writes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.canary}'",)


def payload(place: Place, protocol: int = 4) -> bytes:
    return pickle.dumps(Code(place.canary), protocol)


def forge(place: Place, replaced: dict[str, bytes] | None = None, **changes: Any) -> None:
    """Replace files and fields of the manifest, hashed and canonical as training would write them."""
    manifest = json.loads((place.folder / MANIFEST).read_bytes())
    for name, data in (replaced or {}).items():
        (place.folder / name).write_bytes(data)
        manifest["files"][name] = sha256_bytes(data)
    (place.folder / MANIFEST).write_bytes(canonical_json(manifest | changes))


def forge_text(place: Place, old: str, new: str) -> None:
    raw = (place.folder / MANIFEST).read_text()
    assert old in raw
    (place.folder / MANIFEST).write_text(raw.replace(old, new, 1))


def forge_model(place: Place, change: Callable[[Any], Any]) -> None:
    model = onnx.load_from_string((place.folder / MODEL).read_bytes())
    change(model)
    forge(place, {MODEL: model.SerializeToString()})


def before_output(model: Any, nodes: list[Any], *tensors: Any) -> None:
    """Nodes between the answer and the output; they read `answer` and give `poisoned`."""
    last = model.graph.node.pop()
    assert list(last.output) == ["probability"]
    model.graph.node.extend(nodes)
    model.graph.node.append(helper.make_node("Identity", ["poisoned"], ["probability"]))
    model.graph.initializer.extend(tensors)


def ints(name: str, *values: int, shape: list[int] | None = None) -> Any:
    return helper.make_tensor(name, TensorProto.INT64, [len(values)] if shape is None else shape, values)


def replace_list(model: Any, name: str, values: list[Any]) -> None:
    attribute = next(one for node in model.graph.node for one in node.attribute if one.name == name)
    attribute.CopyFrom(helper.make_attribute(name, values))


if __name__ == "__main__":
    main()
