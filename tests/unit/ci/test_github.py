"""A workflow becomes jobs and steps of one event."""

import pytest
import yaml

from seatrial.ci.github import read_workflow
from seatrial.ci.source import Source
from seatrial.errors import UsageError

WORKFLOW = """\
on:
  pull_request: {paths: [src/**]}
  workflow_dispatch: {inputs: {why: {default: because}}}
env: {SHARED: "1"}
jobs:
  deploy:
    needs: [gate]
    environment: {name: production, url: x}
    permissions: {contents: read, pull-requests: write, id-token: write}
    steps: [{run: nox -s deploy}]
  gate:
    permissions: {contents: read}
    outputs: {bundle: "${{ steps.gate.outputs.bundle }}"}
    strategy: {matrix: {python: ["3.11", "3.12"]}}
    steps:
      - {uses: "actions/checkout@0123", with: {fetch-depth: 0, clean: false}}
      - {id: gate, name: Gate, run: nox -s gate, if: "${{ !cancelled() }}", continue-on-error: true, env: {A: 1}}
"""


def source(**more):
    given = {"head": "a" * 40, "base": "b" * 40, "branch": "topic", "default_branch": "main", "slug": "o/n", "actor": "ann"}
    return Source(**given | more)


def read(text=WORKFLOW, **more):
    return read_workflow("train.yml", yaml.safe_load(text), source(**more))


def test_jobs_stand_behind_those_that_they_need_with_all_that_decides_about_them():
    pipeline = read()
    assert [job.id for job in pipeline.jobs] == ["gate", "deploy", "gate (3.12)"]
    gate, deploy, other = pipeline.jobs
    assert (deploy.environment, deploy.writes, deploy.needs) == ("production", ("pull-requests",), ("gate",))
    assert (gate.writes, gate.matrix, gate.why_not) == ((), {"python": "3.11"}, "")
    assert "matrix" in other.why_not
    check_out, step = gate.steps
    assert (check_out.uses, check_out.inputs) == ("actions/checkout", {"fetch-depth": "0", "clean": "false"})
    assert (step.id, step.run, step.condition, step.keep_going, step.env) == (
        "gate",
        "nox -s gate",
        "${{ !cancelled() }}",
        True,
        {"A": "1"},
    )


def test_a_pull_request_has_head_for_its_merge_and_the_merge_base_for_its_base():
    pipeline = read()
    github = pipeline.base["github"]
    assert pipeline.event == "pull_request"
    assert github["event"]["pull_request"]["base"] == {"sha": "b" * 40, "ref": "main"}
    assert (pipeline.env["GITHUB_BASE_REF"], pipeline.env["CI"], pipeline.env["SHARED"]) == ("main", "true", "1")
    assert github["token"] == ""


def test_a_run_by_hand_has_its_inputs_and_their_defaults():
    assert read(event="workflow_dispatch").base["inputs"] == {"why": "because"}
    assert read(event="workflow_dispatch", inputs={"why": "asked"}).base["inputs"] == {"why": "asked"}
    with pytest.raises(UsageError, match="no input 'whi'"):
        read(event="workflow_dispatch", inputs={"whi": "x"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("on: push\njobs: {a: {needs: b, steps: []}, b: {needs: a, steps: []}}", "circle"),
        ("on: push\njobs: {a: {needs: nobody, steps: []}}", "no such job"),
        ("on: push\njobs: {a: {steps: [{name: nothing}]}}", "either `run` or `uses`"),
        ("on: push\njobs: [a]", "a mapping is expected"),
        ("on: [issues]\njobs: {}", "does not run on"),
    ],
)
def test_a_file_that_cannot_be_run_is_refused_with_its_place(text, words):
    with pytest.raises(UsageError, match=words):
        read(text)


def test_an_event_that_the_file_does_not_wait_for_is_refused():
    with pytest.raises(UsageError, match="does not run on 'schedule'"):
        read(event="schedule")


def test_a_job_in_a_container_says_that_it_is_not_done_here():
    (job,) = read("on: push\njobs: {a: {container: x, steps: []}}").jobs
    assert "'container'" in job.why_not
