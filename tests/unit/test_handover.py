"""Whoever was handed a digest refuses other bytes, and whoever makes a bundle says its digest."""

from dataclasses import replace

import pytest

from seatrial.commands.gate import gate as gate_command
from seatrial.deploy import deploy
from seatrial.errors import RefusedError, UsageError
from seatrial.handover import hand_over, refuse_other_bytes
from seatrial.project import Project
from tests.rollouts import gate
from tests.sites import Site

DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


@pytest.mark.parametrize("env", [{}, {"SEATRIAL_BUNDLE": DIGEST}])
def test_the_bundle_that_was_handed_over_goes_on_and_so_does_one_of_no_other_job(env):
    refuse_other_bytes(env, DIGEST)


def test_other_bytes_are_refused_with_both_digests():
    with pytest.raises(RefusedError, match=f"is {DIGEST}, this job was handed {OTHER}"):
        refuse_other_bytes({"SEATRIAL_BUNDLE": OTHER}, DIGEST)


@pytest.mark.parametrize("value", ["", "latest", DIGEST[:-1], DIGEST.upper(), f"{DIGEST}\n"])
def test_what_is_no_digest_is_an_error_and_never_a_yes(value):
    with pytest.raises(UsageError, match="SEATRIAL_BUNDLE is"):
        refuse_other_bytes({"SEATRIAL_BUNDLE": value}, DIGEST)


def test_both_forges_are_told_the_digest(tmp_path):
    output = tmp_path / "output"
    output.write_text("other=1\n")
    hand_over(Project(root=tmp_path, env={"GITHUB_OUTPUT": str(output)}), DIGEST)
    assert output.read_text() == f"other=1\nbundle={DIGEST}\n"
    assert (tmp_path / "reports/bundle.env").read_text() == f"SEATRIAL_BUNDLE={DIGEST}\n"


def test_deploy_refuses_another_bundle_than_the_job_before_gated(world):
    gate(world, 0)
    handed = replace(world.project, env={"SEATRIAL_BUNDLE": OTHER})
    with pytest.raises(RefusedError, match="this job was handed"):
        deploy(handed, world.tools)
    assert world.endpoint.running == {}
    right = replace(world.project, env={"SEATRIAL_BUNDLE": world.bundles[0].digest})
    assert deploy(right, world.tools).exit_code == 0


def test_gate_refuses_another_bundle_before_it_measures_anything(tmp_path):
    site = Site(tmp_path)
    (tmp_path / "tests/model").mkdir(parents=True)
    site.project.contract.parent.mkdir(exist_ok=True)
    site.project.contract.touch()
    with pytest.raises(RefusedError, match="this job was handed"):
        gate_command(replace(site.project, env={"SEATRIAL_BUNDLE": OTHER}))
    with pytest.raises(UsageError, match="is empty"):
        gate_command(replace(site.project, env={"SEATRIAL_BUNDLE": ""}))
    assert not site.project.verdict("gate").exists()
