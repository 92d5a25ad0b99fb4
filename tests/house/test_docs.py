"""The docs know every command, session and parameter, and say the defaults that the code has."""

import ast
import re
import typing
from pathlib import Path

import msgspec
import yaml

from seatrial.cli import COMMANDS
from seatrial.params import Settings

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(?P<key>[a-z0-9_.<>]+)` \|(?P<type>[^|]*)\|(?P<default>[^|]*)\|(?P<meaning>[^|]*)\|$", re.MULTILINE)
NOT_A_KEY = {"environment"}  # chosen by SEATRIAL_ENV or --env, and refused in the file


def all_docs():
    return "\n".join(path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])


def models_in(annotation):
    """The sections inside an annotation, each with how it is reached (`<name>` for the keys of a mapping)."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield "", annotation
    step = ".<name>" if typing.get_origin(annotation) is dict else ""
    for inside in typing.get_args(annotation):
        for way, model in models_in(inside):
            yield step + way, model


def parameters(model, prefix="", defaults=None):
    """Every key of a section and of those below it, dotted, with its default; sections themselves are left out.

    `defaults` is the section as it stands where nothing is written; a key without a default is `required`.
    """
    for field in msgspec.structs.fields(model):
        name = field.name
        if not prefix and name in NOT_A_KEY:
            continue
        default = getattr(defaults, name) if defaults is not None else default_of(field)
        below = list(models_in(field.type))
        if not below or typing.get_origin(field.type) is not None:
            yield f"{prefix}{name}", plain(default) if defaults is not None or not field.required else "required"
        for way, section in below:
            yield from parameters(section, f"{prefix}{name}{way}.", default if isinstance(default, section) else None)


def default_of(field):
    """What a key is where nothing is written; None where it is required."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return None if field.required else field.default


def plain(default):
    """A default as YAML's plain values."""
    return msgspec.json.decode(msgspec.json.encode(default))


def without_mention(names, docs):
    """The names that the docs never write as code."""
    return sorted(name for name in names if not re.search(rf"[`\s/]{re.escape(name)}(?![\w-])", docs))


def session_names():
    for path in sorted((ROOT / "tasks").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and any("nox.session" in ast.unparse(line) for line in node.decorator_list):
                yield node.name


def test_every_command_is_in_the_docs():
    docs, sessions = all_docs(), set(session_names())
    missing = without_mention({f"seatrial {name}" for name in COMMANDS}, docs)
    assert [name for name in missing if name.split()[1] not in sessions] == []  # those are in the docs as their sessions


def test_every_session_is_in_the_docs():
    assert without_mention({f"nox -s {name}" for name in session_names()}, all_docs()) == []


def test_every_parameter_is_explained_once_with_its_default():
    rows = {match["key"]: match for match in ROW.finditer((ROOT / "docs/params.md").read_text())}
    defaults = dict(parameters(Settings))
    assert set(defaults) == set(rows)
    for key, default in defaults.items():
        assert yaml.safe_load(rows[key]["default"].strip().strip("`")) == default, key
        assert rows[key]["type"].strip(), key
        assert len(rows[key]["meaning"].strip()) > 10, key


def test_every_key_of_the_repository_s_own_file_is_one_that_the_docs_explain():
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    explained = {match["key"].split(".")[0] for match in ROW.finditer((ROOT / "docs/params.md").read_text())}
    assert set(values) - {"environments"} <= explained


def test_every_link_between_the_docs_leads_somewhere():
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_fence_sees_what_is_missing():
    assert without_mention({"seatrial gate", "seatrial gat"}, "run `seatrial gate`.") == ["seatrial gat"]
    assert "gate.metrics.<name>.floor" in dict(parameters(Settings))
    assert "rollout.replay.rate" in dict(parameters(Settings))
