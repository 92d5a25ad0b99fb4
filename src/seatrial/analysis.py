"""`model.skops`: the scikit-learn pipeline kept beside the ONNX for analysis, never loaded by a server.

It is loaded by the model test suite alone, once its types were reviewed. skops names objects by their address in memory and
stamps its archive with the clock, and scikit-learn notes how many processors the machine had. Here all three are made regular, so
that training twice gives the same bytes, on another machine too.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

from seatrial.manifest import ANALYSIS
from seatrial.skops_checks import check_skops

_EPOCH = (1980, 1, 1, 0, 0, 0)
_THREADS = "n_threads"
"""What scikit-learn found on the machine that trained; None stands for "as many as there are"."""
_ARRAY = re.compile(r"^(\d+)(\.\w+)$")


def dump_skops(model: Any) -> bytes:
    """The model in skops' format, with names, times and numbers of threads that depend on nothing but the model."""
    import skops.io

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as archive:
        schema = json.loads(archive.read("schema.json"))
        members = {name: archive.read(name) for name in archive.namelist() if name != "schema.json"}
    numbers = _Numbers()
    schema = _renumbered(schema, numbers)
    renamed = {numbers.file(name): data for name, data in members.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(renamed):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), renamed[name], zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("schema.json", _EPOCH), json.dumps(schema, indent=1), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def load_skops(data: bytes) -> Any:
    """The model in a bundle's file; BundleError where it names a type that is not on the reviewed list, before anything is built."""
    check_skops(data, ANALYSIS)
    import skops.io

    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


class _Numbers:
    """Addresses in memory → 1, 2, 3 … in order of appearance."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._last = 0

    def shared(self, address: int) -> int:
        """The number of an object, the same wherever the object appears."""
        if address not in self._known:
            self._known[address] = self.fresh()
        return self._known[address]

    def fresh(self) -> int:
        """A number of its own: for scalars, whose addresses Python shares or reuses as it likes."""
        self._last += 1
        return self._last

    def file(self, name: str) -> str:
        """A member's name in the archive."""
        found = _ARRAY.match(name)
        return f"{self.shared(int(found[1]))}{found[2]}" if found else name


def _renumbered(node: Any, numbers: _Numbers) -> Any:
    if isinstance(node, list):
        return [_renumbered(item, numbers) for item in node]
    if not isinstance(node, dict):
        return node
    fresh = {key: _renumbered(value, numbers) for key, value in node.items() if key != "__id__"}
    if isinstance(fresh.get("file"), str):
        fresh["file"] = numbers.file(fresh["file"])
    if isinstance(fresh.get(_THREADS), dict) and "content" in fresh[_THREADS]:
        fresh[_THREADS]["content"] = "null"
    if "__id__" in node:
        scalar = node.get("__loader__") == "JsonNode"
        fresh["__id__"] = numbers.fresh() if scalar else numbers.shared(node["__id__"])
    return fresh
