"""Poisons of the folder and of everything in it but the model: pickles, links, pipes, archives, manifests."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import zipfile
from typing import Any

from seatrial.bundle import ANALYSIS, GOLDEN, MANIFEST, MODEL, TRAINED_ON
from seatrial.files import canonical_json, sha256_bytes
from tests.poison import Place, forge, forge_text, payload, poison, several


@several(
    {
        "model": (MODEL, "the model is not ONNX"),
        "golden": (GOLDEN, "no list of golden rows"),
        "skops": (ANALYSIS, "it is no archive"),
        "rows": (TRAINED_ON, "training_rows.bin"),
    }
)
def pickle_in_place_of(place: Place, name: str) -> None:
    forge(place, {name: payload(place)})


@several({str(protocol): (protocol, "is no manifest") for protocol in range(6)})
def pickle_as_manifest(place: Place, protocol: int) -> None:
    (place.folder / MANIFEST).write_bytes(payload(place, protocol))


@several(
    {
        name: (name, f"names the file {name!r}")
        for name in ("model.pkl", "model.joblib", "python_model.pkl", "MLmodel", "model.py", "__init__.py", "conda.yaml", "MODEL.ONNX")
    }
)
def file_of_another_kind_listed(place: Place, name: str) -> None:
    forge(place, {name: payload(place)})


@several({name: (name, "which its manifest does not list") for name in ("model.pkl", "sitecustomize.py", ".hidden", "model.onnx.data")})
def file_not_listed(place: Place, name: str) -> None:
    (place.folder / name).write_bytes(payload(place))


@poison("holds 'MLmodel', 'code', which its manifest does not list")
def mlmodel_with_a_loader_module_beside(place: Place) -> None:
    (place.folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: evil\n    code: code\n")
    (place.folder / "code").mkdir()
    (place.folder / "code/evil.py").write_text(f"open({str(place.canary)!r}, 'w')")


@poison("holds more than 64 files")
def thousands_of_files(place: Place) -> None:
    for number in range(2000):
        (place.folder / f"{number}").touch()


# The archive for analysis


def skops(members: dict[str, bytes], schema: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        if schema is not None:
            archive.writestr("schema.json", schema if isinstance(schema, bytes) else json.dumps(schema))
    return out.getvalue()


def node(module: str, name: str, loader: str = "ObjectNode") -> dict[str, Any]:
    return {"__class__": name, "__module__": module, "__loader__": loader, "content": {}}


@several(
    {
        "os.system": (node("os", "system"), "'os.system', which is not on the reviewed list"),
        "builtins.eval": (node("builtins", "eval"), "'builtins.eval'"),
        "subprocess": (node("subprocess", "Popen", "TypeNode"), "'subprocess.Popen'"),
        "function": (node("builtins", "dict", "FunctionNode"), "the loader 'FunctionNode'"),
        "deep inside": ({"content": [[{"a": node("posix", "system")}]]}, "'posix.system'"),
        "lookalike": (node("sklearn_evil.tree", "Tree"), "'sklearn_evil.tree.Tree'"),
        "numpy's own loader": (node("numpy", "load"), "'numpy.load'"),
        "no class": ({"__loader__": "ObjectNode", "__module__": None}, "reviewed list"),
    }
)
def forged_skops(place: Place, schema: Any) -> None:
    forge(place, {ANALYSIS: skops({}, schema)})


@poison("is no array of numbers or text")
def skops_with_a_pickle_as_an_array(place: Place) -> None:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + payload(place)
    forge(place, {ANALYSIS: skops({"1.npy": array}, {})})


@several({name: (name, "it holds ") for name in ("../../evil.npy", "/etc/cron.d/evil", "evil.pkl", "1.npz")})
def skops_with_a_strange_member(place: Place, name: str) -> None:
    forge(place, {ANALYSIS: skops({name: payload(place)}, {})})


@several(
    {"torn": (b'{"a": ', "cannot be read"), "deep": (b"[" * 200_000 + b"]" * 200_000, "cannot be read"), "none": (None, "has no schema")}
)
def skops_with_a_broken_schema(place: Place, schema: bytes | None) -> None:
    forge(place, {ANALYSIS: skops({}, schema)})


@poison("has no schema.json of at most", bomb=True)
def skops_whose_schema_is_a_bomb(place: Place) -> None:
    forge(place, {ANALYSIS: skops({}, b"[" + b" " * 2**28 + b"]")})


@poison("unpacked it has more than", bomb=True)
def skops_whose_arrays_are_a_bomb(place: Place) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("1.npy", "w") as stream:
        for _ in range(9):
            stream.write(bytes(2**26))
    forge(place, {ANALYSIS: out.getvalue()})


@poison("has more than 20000 members", bomb=True)
def skops_with_a_directory_of_millions(place: Place) -> None:
    entry = b"PK\x01\x02" + bytes(42)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, len(entry) * 1_200_000, 4, 0)
    forge(place, {ANALYSIS: b"PK\x03\x04" + entry * 1_200_000 + end})


# Links, pipes and what else a name may stand for


@several({name: (name, "not a regular file, but a link") for name in (MODEL, GOLDEN, MANIFEST, TRAINED_ON)})
def link_to_the_right_bytes(place: Place, name: str) -> None:
    (place.folder / name).rename(place.outside / name)
    (place.folder / name).symlink_to(place.outside / name)


@several({"zero": ("/dev/zero", "but a link"), "nowhere": ("/nonexistent", "but a link"), "itself": (MODEL, "but a link")})
def link_to(place: Place, target: str) -> None:
    (place.folder / MODEL).unlink()
    (place.folder / MODEL).symlink_to(target)


@poison("is a link; a bundle is a folder of its own")
def link_in_place_of_the_folder(place: Place) -> None:
    place.folder.rename(place.outside / "bundle")
    place.folder.symlink_to(place.outside / "bundle")


@several({name: (name, "has 2 names (hard links)") for name in (MODEL, MANIFEST)})
def hard_link_to_outside(place: Place, name: str) -> None:
    os.link(place.folder / name, place.outside / name)


@several({name: (name, "not a regular file, but a pipe") for name in (MODEL, MANIFEST, GOLDEN)})
def pipe_in_place_of(place: Place, name: str) -> None:
    (place.folder / name).unlink()
    os.mkfifo(place.folder / name)


@poison("not a regular file, but a socket")
def socket_in_place_of_the_model(place: Place) -> None:
    (place.folder / MODEL).unlink()
    folder = os.open(place.folder, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{folder}/{MODEL}")
    finally:
        os.close(folder)


@several({name: (name, "not a regular file, but a folder") for name in (MODEL, MANIFEST)})
def folder_in_place_of(place: Place, name: str) -> None:
    (place.folder / name).unlink()
    (place.folder / name).mkdir()


# Sizes


@several({name: (name, "bytes, more than") for name in (MODEL, GOLDEN, MANIFEST, ANALYSIS, TRAINED_ON)}, bomb=True)
def file_of_a_tebibyte(place: Place, name: str) -> None:
    os.truncate(place.folder / name, 2**40)


@several({name: (name, "is not the file of the manifest") for name in (MODEL, GOLDEN, ANALYSIS, TRAINED_ON)})
def file_cut_short(place: Place, name: str) -> None:
    os.truncate(place.folder / name, (place.folder / name).stat().st_size - 1)


@several(
    {
        "model": (MODEL, "the model is refused"),
        "golden": (GOLDEN, "no list of golden rows"),
        "skops": (ANALYSIS, "it is no archive"),
    }
)
def empty_file(place: Place, name: str) -> None:
    forge(place, {name: b""})


@poison("is no manifest")
def empty_manifest(place: Place) -> None:
    (place.folder / MANIFEST).write_bytes(b"")


# Golden rows and training rows


@several(
    {
        "no rows": (b"[]", "no golden rows"),
        "no list": (b'{"row": {}}', "no list of golden rows"),
        "NaN": (b'[{"row": {}, "probability": NaN}]', "no list of golden rows"),
        "deep": (b'[{"row": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]", "no list of golden rows"),
        "strange rows": (b'[{"row": {"amount": 1}, "probability": 0.5}]', "do not fit its manifest"),
        "no answer": (b'[{"row": {}}]', "golden rows"),
        "too many": (b"[" + b"{}," * 10_000 + b"{}]", "holds 10001 rows, more than 10000"),
    }
)
def golden_rows(place: Place, data: bytes) -> None:
    forge(place, {GOLDEN: data})


@several(
    {
        "half a hash": (bytes(12), "no whole 64-bit hashes"),
        "falling": (b"\x02" + bytes(7) + b"\x01" + bytes(7), "not in rising order"),
        "twice": (bytes(16), "not in rising order"),
    }
)
def training_rows(place: Place, data: bytes) -> None:
    forge(place, {TRAINED_ON: data})


# Manifests

TARGET = {"name": "left", "classes": ["No", "Yes"], "positive": "Yes"}
TRAINING = {"data": "md5:0", "held_out": "", "rows": 1000, "estimator": "logistic", "params": {}}
SIZE = {"name": "size", "type": "number", "nullable": True, "categories": None, "minimum": None, "maximum": None}


def deep(levels: int) -> Any:
    return {"a": deep(levels - 1)} if levels else 0


@several(
    {
        "another format": ({"format": 2}, "is no manifest of format 1"),
        "format as text": ({"format": "1"}, "is no manifest"),
        "another task": ({"task": "arbitrary_code"}, "is no manifest"),
        "loader": ({"loader_module": "os"}, "unknown field `loader_module`"),
        "no inputs": ({"inputs": []}, "is no manifest"),
        "2,000 inputs": ({"inputs": [SIZE | {"name": f"i{number}"} for number in range(2000)]}, "is no manifest"),
        "input of another type": ({"inputs": [SIZE | {"type": "pickle"}]}, "is no manifest"),
        "input with a field more": ({"inputs": [SIZE | {"module": "os"}]}, "unknown field `module`"),
        "input without a name": ({"inputs": [SIZE | {"name": ""}]}, "is no manifest"),
        "input with a long name": ({"inputs": [SIZE | {"name": "a" * 257}]}, "is no manifest"),
        "one input twice": ({"inputs": [SIZE, SIZE]}, "two inputs are called 'size'"),
        "two inputs that look alike": ({"inputs": [SIZE | {"name": "caf\u00e9"}, SIZE | {"name": "cafe\u0301"}]}, "two inputs are called"),
        "input with a hidden character": ({"inputs": [SIZE | {"name": "si\u200bze"}]}, "invisible character U+200B"),
        "input written backwards": ({"inputs": [SIZE | {"name": "\u202eezis"}]}, "invisible character U+202E"),
        "input with a zero byte": ({"inputs": [SIZE | {"name": "size\u0000"}]}, "invisible character U+0000"),
        "categories of a number": ({"inputs": [SIZE | {"categories": ["a"]}]}, "is a number and has categories"),
        "one category twice": ({"inputs": [SIZE | {"type": "category", "categories": ["a", "a"]}]}, "lists a category twice"),
        "too many categories": ({"inputs": [SIZE | {"type": "category", "categories": list(map(str, range(10_001)))}]}, "is no manifest"),
        "long category": ({"inputs": [SIZE | {"type": "category", "categories": ["a" * 1025]}]}, "is no manifest"),
        "range turned round": ({"inputs": [SIZE | {"minimum": 2.0, "maximum": 1.0}]}, "minimum 2 above its maximum 1"),
        "infinite range": ({"inputs": [SIZE | {"maximum": 10**400}]}, "is no manifest"),
        "classes turned round": ({"target": TARGET | {"positive": "No"}}, "positive class must be the second"),
        "one class": ({"target": TARGET | {"classes": ["Yes", "Yes"]}}, "both classes are 'Yes'"),
        "three classes": ({"target": TARGET | {"classes": ["No", "Yes", "Maybe"]}}, "is no manifest"),
        "target among the inputs": ({"target": TARGET | {"name": "amount"}}, "is an input too"),
        "hidden class": (
            {"target": {"name": "left", "classes": ["Yes", "Yes\u2060"], "positive": "Yes\u2060"}},
            "invisible character U+2060",
        ),
        "threshold below 0": ({"threshold": -0.1}, "is no manifest"),
        "threshold above 1": ({"threshold": 1.1}, "is no manifest"),
        "no threshold": ({"threshold": None}, "is no manifest"),
        "true as threshold": ({"threshold": True}, "is no manifest"),
        "id of another type": ({"id": 1}, "is no manifest"),
        "id with a line": ({"id": "a\nb"}, "invisible character U+000A"),
        "groups as text": ({"groups": "member"}, "is no manifest"),
        "too many groups": ({"groups": list(map(str, range(101)))}, "is no manifest"),
        "training as text": ({"training": "none"}, "is no manifest"),
        "fewer than no rows": ({"training": TRAINING | {"rows": -1}}, "is no manifest"),
        "half a row": ({"training": TRAINING | {"rows": 0.5}}, "is no manifest"),
        "deep settings": ({"training": TRAINING | {"params": deep(50)}}, "nested more than 8 levels"),
        "library as a list": ({"libraries": {"onnx": ["1"]}}, "is no manifest"),
        "too many libraries": ({"libraries": {str(number): "1" for number in range(201)}}, "is no manifest"),
        "no files": ({"files": {}}, "is no manifest"),
        "no model": ({"files": {GOLDEN: sha256_bytes(b"")}}, "lists no model.onnx"),
        "no golden rows": ({"files": {MODEL: sha256_bytes(b"")}}, "lists no golden.json"),
        "hash cut short": ({"files": {MODEL: "sha256:0", GOLDEN: "sha256:0"}}, "is no manifest"),
        "another kind of hash": ({"files": {MODEL: "md5:" + "0" * 32, GOLDEN: "md5:" + "0" * 32}}, "is no manifest"),
    }
)
def manifest(place: Place, changes: dict[str, Any]) -> None:
    forge(place, **changes)


PATHS = (
    "../secret",
    "/etc/passwd",
    "a/b",
    "..",
    ".",
    "",
    MANIFEST,
    "model.onnx\u0000",
    "m\u043edel.onnx",
    "model.onnx\u200b",
    "\u202exnno.ledom",
)


@several({ascii(name): (name, "names the file") for name in PATHS})
def path_in_the_manifest(place: Place, name: str) -> None:
    (place.outside / "secret").write_bytes(b"secret")
    files = json.loads((place.folder / MANIFEST).read_bytes())["files"]
    forge(place, files=files | {name: sha256_bytes(b"secret")})


@several(
    {
        "key twice": (('"format":1', '"format":1,"format":1'), "not written canonically"),
        "NaN": (('"threshold":0.5', '"threshold":NaN'), "is no manifest"),
        "infinity": (('"threshold":0.5', '"threshold":1e999'), "is no manifest"),
        "white space": (('"format":1', '"format": 1'), "not written canonically"),
        "escape": (('"task"', '"t\\u0061sk"'), "not written canonically"),
        "surrogate": (('"logistic"', '"\\ud800"'), "is no manifest"),
        "number written longer": (('"threshold":0.5', '"threshold":5e-1'), "not written canonically"),
    }
)
def manifest_text(place: Place, change: tuple[str, str]) -> None:
    forge_text(place, *change)


@several(
    {
        "byte order mark": (lambda raw: b"\xef\xbb\xbf" + raw, "is no manifest"),
        "UTF-16": (lambda raw: raw.decode().encode("utf-16"), "is no manifest"),
        "second document": (lambda raw: raw + raw, "is no manifest"),
        "line at the end": (lambda raw: raw + b"\n", "not written canonically"),
        "half": (lambda raw: raw[: len(raw) // 2], "is no manifest"),
        "a list": (lambda raw: b"[" + raw + b"]", "is no manifest"),
        "100,000 lists": (lambda raw: b"[" * 100_000, "is no manifest"),
        "settings of 100,000 lists": (
            lambda raw: raw.replace(b'"params":{', b'"params":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b",", 1),
            "",
        ),
        "4 MiB and a byte": (lambda raw: raw + b" " * (4 * 2**20 + 1 - len(raw)), "bytes, more than"),
    }
)
def manifest_bytes(place: Place, change: Any) -> None:
    path = place.folder / MANIFEST
    path.write_bytes(change(path.read_bytes()))


@poison("is not the file of the manifest")
def files_of_another_bundle(place: Place) -> None:
    value = json.loads((place.folder / MANIFEST).read_bytes())
    value["files"][MODEL], value["files"][GOLDEN] = value["files"][GOLDEN], value["files"][MODEL]
    (place.folder / MANIFEST).write_bytes(canonical_json(value))
