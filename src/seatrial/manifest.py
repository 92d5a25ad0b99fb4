"""The manifest of a bundle: what it says of itself, parsed strictly and under limits.

A manifest comes from outside, so nothing in it is taken as given: unknown fields, repeated names, names that cannot be told
apart by eye, and lists longer than any table needs are refused in one sentence each.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from seatrial.errors import BundleError
from seatrial.files import canonical_json, sha256_bytes

MANIFEST = "manifest.json"
MODEL = "model.onnx"
GOLDEN = "golden.json"
ANALYSIS = "model.skops"
TRAINED_ON = "training_rows.bin"
PROFILE = "profile.json"

MIB = 2**20
MAX_BYTES = {MANIFEST: 4 * MIB, MODEL: 32 * MIB, GOLDEN: 4 * MIB, ANALYSIS: 64 * MIB, TRAINED_ON: 128 * MIB, PROFILE: 16 * MIB}
"""The files that a bundle may hold, and how large each may be. In memory, a hostile model grows to 16 times its size."""

MAX_INPUTS = 1_000
MAX_CATEGORIES = 10_000
"""Categories of one input."""

MAX_CLASSES = 1_000

MAX_DEPTH = 8
"""Lists and mappings inside each other in `training.params`."""

FORMAT: Literal[1] = 1

InputType = Literal["number", "integer", "boolean", "category"]
Task = Literal["binary", "multiclass", "regression"]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Text = Annotated[str, Meta(max_length=1024)]
Digest = Annotated[str, Meta(pattern=r"\Asha256:[0-9a-f]{64}\Z")]


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, and closed to fields that nobody reads."""


class Input(_Record, frozen=True, kw_only=True):
    """One column that the model reads; `categories`, `minimum` and `maximum` are those seen in training."""

    name: Name
    type: InputType
    nullable: bool
    categories: Annotated[tuple[Text, ...], Meta(max_length=MAX_CATEGORIES)] | None = None
    minimum: float | None = None
    maximum: float | None = None


class Target(_Record, frozen=True, kw_only=True):
    """What is predicted: the column and its classes.

    A binary target has two, negative first, and says which one counts as positive; a multiclass target has three or more, in
    the order of the model's probabilities; a regression has none.
    """

    name: Name
    classes: Annotated[tuple[Name, ...], Meta(max_length=MAX_CLASSES)] = ()
    positive: str | None = None

    def __post_init__(self) -> None:
        """Refuse an order that would turn probabilities round."""
        if self.positive is not None and self.classes[1:2] != (self.positive,):
            raise ValueError("the positive class must be the second one")


class Binary(NamedTuple):
    """What only a binary task has: its two classes, and the probability from which the answer is positive."""

    negative: str
    positive: str
    threshold: float


class Training(_Record, frozen=True, kw_only=True):
    """Where the model comes from: hash of the rows it was fitted on, how many, the estimator and its settings.

    `held_out` is the hash of the rows that it never saw, on which its answers are a fair reference for those it gives live.
    """

    data: Text
    held_out: Text = ""
    rows: Annotated[int, Meta(ge=0)]
    estimator: Text
    params: Annotated[dict[Name, Any], Meta(max_length=200)]


class Manifest(_Record, frozen=True, kw_only=True):
    """All that is needed to serve the model, and to tell one bundle from another."""

    format: Literal[1] = FORMAT
    task: Task = "binary"
    inputs: Annotated[tuple[Input, ...], Meta(min_length=1, max_length=MAX_INPUTS)]
    target: Target
    threshold: Annotated[float, Meta(ge=0, le=1)] | None = None
    id: Name | None = None
    groups: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    training: Training
    libraries: Annotated[dict[Name, Text], Meta(max_length=200)]
    files: Annotated[dict[str, Digest], Meta(min_length=1)]

    def __post_init__(self) -> None:
        """Refuse a target or a threshold that the task does not have."""
        problem = next(_task_problems(self), None)
        if problem is not None:
            raise ValueError(problem)

    @property
    def digest(self) -> str:
        """The bundle's name: SHA-256 of the canonical manifest."""
        return sha256_bytes(self.to_bytes())

    @property
    def binary(self) -> Binary:
        """Classes and threshold of a binary task; BundleError where the task is another one."""
        if self.task != "binary" or self.target.positive is None or self.threshold is None:
            raise BundleError(f"the bundle's task is {self.task}, and this is asked of binary ones only")
        return Binary(negative=self.target.classes[0], positive=self.target.positive, threshold=self.threshold)

    def to_bytes(self) -> bytes:
        """The canonical manifest, as it lies on disk."""
        return canonical_json(msgspec.to_builtins(self))


def parse_manifest(raw: bytes, place: str) -> Manifest:
    """The manifest in `raw`, which was read at `place`.

    Raises BundleError where it is not canonical JSON (so repeated keys, NaN, and white space are refused), or says something
    that no manifest may say.
    """
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
        canonical = manifest.to_bytes()
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise BundleError(f"{place} is no manifest of format {FORMAT}: {error}") from None
    if raw != canonical:
        raise BundleError(f"{place} is not written canonically, so its digest means nothing", hint="train again: nox -s train")
    check_manifest(manifest, place)
    return manifest


def check_manifest(manifest: Manifest, place: str) -> None:
    """Refuse what types alone do not: BundleError names the first thing that cannot be."""
    problem = next(_problems(manifest), None)
    if problem is not None:
        raise BundleError(f"{place}: {problem}")


def _task_problems(manifest: Manifest) -> Iterator[str]:
    """What does not belong together among task, target and threshold."""
    task, target = manifest.task, manifest.target
    count = len(target.classes)
    if task == "binary":
        if count != 2:
            yield f"a binary target has two classes, not {count}"
        if target.positive is None:
            yield "a binary target says which class is the positive one"
        if manifest.threshold is None:
            yield "a binary task has a threshold"
        return
    if task == "multiclass" and count < 3:
        yield f"a multiclass target has three classes or more, not {count}"
    if task == "regression" and count:
        yield f"a regression has no classes, not {count}"
    if target.positive is not None:
        yield f"a {task} target has no positive class"
    if manifest.threshold is not None:
        yield f"a {task} task has no threshold"


def _problems(manifest: Manifest) -> Iterator[str]:
    yield from _file_problems(manifest)
    names = [column.name for column in manifest.inputs]
    told_apart = Counter(unicodedata.normalize("NFKC", name) for name in names)
    yield from (f"two inputs are called {name!r}" for name, count in told_apart.items() if count > 1)
    if manifest.target.name in names:
        yield f"the target {manifest.target.name!r} is an input too"
    twice = [name for name, count in Counter(manifest.target.classes).items() if count > 1]
    if twice:
        yield f"both classes are {twice[0]!r}" if manifest.task == "binary" else f"the class {twice[0]!r} stands there twice"
    yield from _unreadable([*names, manifest.target.name, *manifest.target.classes, *manifest.groups, manifest.id or "id"])
    for column in manifest.inputs:
        yield from _input_problems(column)
    if _depth(manifest.training.params) > MAX_DEPTH:
        yield f"training.params is nested more than {MAX_DEPTH} levels deep"


def _file_problems(manifest: Manifest) -> Iterator[str]:
    allowed = sorted(set(MAX_BYTES) - {MANIFEST})
    for name in manifest.files:
        if name not in allowed:
            yield f"the manifest names the file {name!r}; a bundle holds only {', '.join(allowed)}"


def _input_problems(column: Input) -> Iterator[str]:
    if column.categories is not None:
        if column.type != "category":
            yield f"input {column.name!r} is a {column.type} and has categories"
        if len(set(column.categories)) < len(column.categories):
            yield f"input {column.name!r} lists a category twice"
    if column.minimum is not None and column.maximum is not None and column.minimum > column.maximum:
        yield f"input {column.name!r} has the minimum {column.minimum:g} above its maximum {column.maximum:g}"


def _unreadable(names: Iterable[str]) -> Iterator[str]:
    """Names with characters that cannot be seen, or that turn the text round: control, format, private, line separators."""
    for name in names:
        strange = next((one for one in name if unicodedata.category(one)[0] == "C" or unicodedata.category(one) in ("Zl", "Zp")), None)
        if strange is not None:
            yield f"the name {name!a} holds the invisible character U+{ord(strange):04X}"


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)
