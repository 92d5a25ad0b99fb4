"""Artifacts have the shapes that the forges give them."""

import pytest

from seatrial.ci.artifacts import found_files, put, take
from seatrial.errors import PipelineError


@pytest.fixture
def workspace(tmp_path):
    root = tmp_path / "workspace"
    for name in (
        "artifacts/model/manifest.json",
        "artifacts/model/model.onnx",
        "metrics/gate.json",
        "metrics/plots/roc.csv",
        "reports/a.html",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["reports/a.html"], ["a.html"]),
        (["artifacts/model"], ["manifest.json", "model.onnx"]),
        (["artifacts/model", "metrics/gate.json"], ["artifacts/model/manifest.json", "artifacts/model/model.onnx", "metrics/gate.json"]),
        (["metrics/*.json", "reports/"], ["metrics/gate.json", "reports/a.html"]),
        (["metrics/*.json"], ["gate.json"]),
        (["metrics", "!metrics/plots"], ["gate.json"]),
        (["nothing/here"], []),
    ],
)
def test_files_are_kept_relative_to_what_their_patterns_share(workspace, patterns, names):
    files, root = found_files(workspace, patterns)
    assert [file.relative_to(root).as_posix() for file in files] == names


def test_what_was_handed_over_replaces_a_link_and_not_what_it_shares_its_bytes_with(workspace, tmp_path):
    files, root = found_files(workspace, ["artifacts/model"])
    put(files, root, tmp_path / "kept")
    target, cache = tmp_path / "other", tmp_path / "cached"
    target.mkdir()
    cache.write_text("old")
    (target / "model.onnx").hardlink_to(cache)  # as DVC does
    assert take(tmp_path / "kept", target) == 2
    assert (target / "model.onnx").read_text() == "artifacts/model/model.onnx"
    assert cache.read_text() == "old"


def test_an_artifact_that_nobody_handed_over_is_an_error(tmp_path):
    with pytest.raises(PipelineError, match="artifact 'gated'"):
        take(tmp_path / "gated", tmp_path)
