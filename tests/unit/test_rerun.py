"""Whether a run can be repeated here, and what came out otherwise; a rerun that was killed leaves nothing for the next."""

from dataclasses import replace

import pytest

from seatrial.errors import PipelineError
from seatrial.files import locked
from seatrial.project import Project
from seatrial.rerun import LOCK, SCRATCH, Here, _scratch, differences, obstacle, rerun
from seatrial.run_manifest import RunManifest
from seatrial.verdict import Check, Outcome, Verdict

GATE = Verdict(
    kind="gate",
    subject={"bundle": "sha256:b", "champion": None},
    checks=(Check(name="auc", outcome=Outcome.PASS, message="0.84"), Check(name="f1", outcome=Outcome.PASS, message="0.61")),
)
RECORDED = RunManifest(
    commit="c" * 40, changed=(), environment="local", lock="sha256:l", params="sha256:p", data="md5:d", requirements="sha256:r",
    python="3.11.7", seatrial="0.1.0", bundle="sha256:b", files={"model.onnx": "sha256:m", "golden.json": "sha256:g"}, gate=GATE,
)  # fmt: skip
HERE = Here(python="3.11.9", requirements="sha256:r", has_commit=True)


def test_a_clean_commit_in_its_own_environment_can_be_repeated():
    assert obstacle(RECORDED, HERE) is None


@pytest.mark.parametrize(
    ("recorded", "here", "reason", "advice"),
    [
        ({"commit": None}, {}, "outside git", "nox -s train gate"),
        ({"changed": ("params.yaml",)}, {}, "no commit holds them: params.yaml", "commit them"),
        ({}, {"has_commit": False}, "has no commit ccc", "git fetch origin ccc"),
        ({}, {"requirements": "sha256:x"}, "requirements.lock", "git worktree add ../again cccccccccccc"),
        ({}, {"python": "3.12.1"}, "Python 3.11.7, this is 3.12.1", "that Python"),
    ],
)
def test_what_is_in_the_way_is_said_with_what_to_do(recorded, here, reason, advice):
    said, remedy = obstacle(replace(RECORDED, **recorded), replace(HERE, **here))
    assert reason in said
    assert advice in remedy


def test_nothing_differs_where_bundle_and_verdict_are_the_same():
    slow = replace(GATE, checks=(*GATE.checks, Check(name="latency", outcome=Outcome.FAIL, message="90 ms", volatile=True)))
    assert differences(RECORDED, "sha256:b", RECORDED.files, slow) == ()
    assert differences(replace(RECORDED, gate=None), "sha256:b", RECORDED.files, None) == ()


def test_each_difference_is_named():
    files = {**RECORDED.files, "model.onnx": "sha256:n"}
    (said,) = differences(RECORDED, "sha256:x", files, GATE)
    assert "model.onnx differs" in said
    (said,) = differences(RECORDED, "sha256:x", RECORDED.files, GATE)
    assert "only its manifest differs" in said
    other = replace(
        GATE, subject={**GATE.subject, "champion": "sha256:c"}, checks=(GATE.checks[0], replace(GATE.checks[1], message="0.62"))
    )
    assert differences(RECORDED, "sha256:b", RECORDED.files, other) == (
        "the gate was asked about another champion: sha256:c, recorded None",
        "f1: 0.62; recorded: 0.61",
    )
    (said,) = differences(RECORDED, "sha256:b", RECORDED.files, replace(GATE, checks=GATE.checks[:1]))
    assert said == "f1: not asked; recorded: 0.61"


def test_what_cannot_be_repeated_is_refused_before_any_work(tmp_path):
    (tmp_path / "params.yaml").write_text("model: {name: a}\n")
    with pytest.raises(PipelineError, match="cannot be repeated: this repository has no commit"):
        rerun(Project(root=tmp_path, env={}), RECORDED, print)
    assert not (tmp_path / ".seatrial").exists()


def test_what_a_killed_rerun_left_is_removed_by_the_next(tmp_path):
    left = tmp_path / "left"
    (left / "clone").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / SCRATCH).write_text(str(left))
    with _scratch(tmp_path / "home") as folder:
        assert not left.exists()
        assert (tmp_path / "home" / SCRATCH).read_text() == str(folder)
        with pytest.raises(PipelineError, match="another rerun"), _scratch(tmp_path / "home"):
            pass
    assert not folder.exists()
    assert not (tmp_path / "home" / SCRATCH).exists()


def test_the_lock_of_a_rerun_is_free_afterwards(tmp_path):
    with _scratch(tmp_path):
        pass
    with locked(tmp_path / LOCK, wait=False):
        pass
