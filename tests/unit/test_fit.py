"""Whether another version takes what clients send, and answers what they expect."""

import pytest
from msgspec.structs import replace

from seatrial.fit import misfits
from seatrial.manifest import Input
from tests.bundles import make_bundle


@pytest.fixture
def manifest(tmp_path):
    return make_bundle(tmp_path / "bundle").manifest


def with_input(manifest, **changes):
    first, *others = manifest.inputs
    return replace(manifest, inputs=(replace(first, **changes), *others))


def test_a_version_fits_itself_and_one_that_reads_less(manifest):
    assert list(misfits(manifest, manifest)) == []
    assert list(misfits(manifest, replace(manifest, inputs=manifest.inputs[1:]))) == []


def test_a_column_that_nobody_sends_is_named(manifest):
    older = replace(manifest, inputs=(*manifest.inputs, Input(name="age", type="number", nullable=True)))
    assert list(misfits(manifest, older)) == ["it needs column 'age', which clients do not send"]


@pytest.mark.parametrize(
    ("now", "then", "fits"),
    [("number", "number", True), ("integer", "number", True), ("number", "integer", False), ("category", "number", False)],
)
def test_a_type_may_be_wider_and_nothing_else(manifest, now, then, fits):
    plain = {"categories": None, "minimum": None, "maximum": None}
    new, old = (with_input(manifest, type=kind, **plain) for kind in (now, then))
    found = list(misfits(new, old))
    assert (found == []) == fits
    assert fits or f"is {then} for it, clients send {now}" in found[0]


@pytest.mark.parametrize(("now", "then", "fits"), [(False, False, True), (False, True, True), (True, True, True), (True, False, False)])
def test_what_may_be_empty_now_has_to_be_allowed_there(manifest, now, then, fits):
    assert (list(misfits(with_input(manifest, nullable=now), with_input(manifest, nullable=then))) == []) == fits


def test_other_answers_are_a_misfit(manifest):
    other = replace(manifest, target=replace(manifest.target, classes=("no", "YES"), positive="YES"))
    (found,) = misfits(manifest, other)
    assert found.startswith("it answers with 'no', 'YES', clients expect")
