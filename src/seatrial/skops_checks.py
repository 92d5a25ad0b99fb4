"""`model.skops` looked at without loading it: a plain archive of arrays, and a tree of types that we have reviewed.

Only the model test suite loads this file, for analysis; whoever does, runs the constructors that it names. So a bundle whose file
names anything but scikit-learn's own classes and plain containers is refused.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

import msgspec

from seatrial.errors import BundleError


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SCHEMA = "schema.json"
MAX_MEMBERS = 20_000
MAX_UNPACKED = 512 * 2**20
MAX_SCHEMA = 16 * 2**20
MAX_DEPTH = 100

_LOADERS = _words(
    "ObjectNode DictNode ListNode TupleNode SetNode JsonNode TypeNode NdArrayNode DTypeNode SliceNode LossNode TreeNode"
    " RandomGeneratorNode RandomStateNode MaskedArrayNode CachedNode"
)
_BUILTINS = _words("dict list tuple set frozenset str int float bool bytes slice complex")
_MODULES = re.compile(
    r"sklearn(\.[a-z_0-9]+)*|numpy(\.random)?(\._?(generator|mtrand|pcg64))?|numpy\.ma(\.core)?|scipy\.sparse(\.[a-z_0-9]+)*"
)
_NUMPY = _words("ndarray dtype matrix MaskedArray Generator RandomState")
_NUMPY_SCALAR = re.compile(r"(u?int(8|16|32|64|p|c)|float(16|32|64)|bool_?|str_|bytes_)")
_END = struct.Struct("<4s4H2LH")
_ARRAY = re.compile(rb"\x93NUMPY[\x01-\x03]\x00[^}]*'descr': [^}]*}")
_OBJECTS = re.compile(rb"'[<>|=]?O\d*'")
"""An array of Python objects is a pickle."""


def check_skops(data: bytes, place: str) -> None:
    """Refuse, with a BundleError, what is not skops' archive of reviewed types; nothing is constructed and nothing imported."""
    try:
        problem = next(_problems(data), None)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, msgspec.MsgspecError, RecursionError, ValueError, KeyError, OSError) as error:
        problem = f"it cannot be read ({type(error).__name__}: {str(error)[:200]})"
    except Exception as error:  # noqa: BLE001 - zlib.error and what else a torn archive brings
        problem = f"it cannot be unpacked ({type(error).__name__})"
    if problem is not None:
        raise BundleError(f"{place} is no skops file that may lie in a bundle: {problem}")


def _problems(data: bytes) -> Iterator[str]:
    yield from _directory_problems(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MAX_UNPACKED:
            yield f"unpacked it has more than {MAX_UNPACKED // 2**20} MiB"
        names = [member.filename for member in members]
        if len(set(names)) < len(names):
            yield "two members have one name"
        schema = next((member for member in members if member.filename == SCHEMA), None)
        if schema is None or schema.file_size > MAX_SCHEMA:
            yield f"it has no {SCHEMA} of at most {MAX_SCHEMA // 2**20} MiB"
            return
        for member in members:
            if member is not schema:
                yield from _member_problems(archive, member)
        yield from _type_problems(msgspec.json.decode(archive.read(schema)), 0)


def _directory_problems(data: bytes) -> Iterator[str]:
    """The archive's own summary, before a list of its members is made: a hostile list alone could fill the memory."""
    if len(data) < _END.size or data[:2] != b"PK":
        yield "it is no archive"
        return
    magic, _, _, _, count, size, _, comment = _END.unpack(data[-_END.size :])
    if magic != b"PK\x05\x06" or comment:
        yield "its directory is not at its end"
    elif count > MAX_MEMBERS or size > MAX_MEMBERS * 100:
        yield f"it has more than {MAX_MEMBERS} members"


def _member_problems(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[str]:
    if not re.fullmatch(r"\d+\.npy", member.filename):
        yield f"it holds {ascii(member.filename)[:80]}"
        return
    with archive.open(member) as stream:
        header = _ARRAY.match(stream.read(4096))
    if header is None or _OBJECTS.search(header[0]):
        yield f"{member.filename} is no array of numbers or text"


def _type_problems(node: Any, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        yield f"its types are nested more than {MAX_DEPTH} levels deep"
        return
    if isinstance(node, dict):
        if "__loader__" in node or "__class__" in node:
            yield from _named_problems(node)
        for value in node.values():
            yield from _type_problems(value, depth + 1)
    elif isinstance(node, list):
        for value in node:
            yield from _type_problems(value, depth + 1)


def _named_problems(node: dict[str, Any]) -> Iterator[str]:
    loader, module, name = (str(node.get(key)) for key in ("__loader__", "__module__", "__class__"))
    if loader not in _LOADERS:
        yield f"it asks for the loader {loader[:80]!r}"
    if not _reviewed(module, name):
        yield f"it names the type {f'{module}.{name}'[:120]!r}, which is not on the reviewed list"


def _reviewed(module: str, name: str) -> bool:
    if module == "builtins":
        return name in _BUILTINS
    if module.partition(".")[0] == "numpy":
        return bool(_MODULES.fullmatch(module)) and (name in _NUMPY or bool(_NUMPY_SCALAR.fullmatch(name)))
    return bool(_MODULES.fullmatch(module)) and name.isidentifier()
