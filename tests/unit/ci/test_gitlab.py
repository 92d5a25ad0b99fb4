"""A .gitlab-ci.yml becomes jobs and steps of one event."""

import pytest
import yaml

from seatrial.ci.gitlab import read_gitlab
from seatrial.ci.source import Source, _Loader
from seatrial.errors import UsageError

FILE = """\
workflow: {rules: [{if: $CI_PIPELINE_SOURCE != "web"}]}
stages: [train, deploy]
variables: {GIT_DEPTH: "0"}
default: {before_script: [pip install nox]}
.base: {variables: {A: base, B: base}, artifacts: {expire_in: 1 day}}
gate:
  extends: .base
  stage: train
  cache: [{key: a, paths: [.cache/uv]}, {paths: [.dvc/cache]}]
  variables: {B: own}
  script: [nox -s train, nox -s gate]
  artifacts: {paths: [artifacts/model], reports: {dotenv: reports/bundle.env}}
deploy:
  stage: deploy
  needs: [gate]
  environment: production
  before_script: !reference [default, before_script]
  rules: [{if: $CI_PIPELINE_SOURCE == "push", when: manual}]
  script: nox -s deploy
late: {stage: deploy, script: nox -s status, allow_failure: true}
"""


def read(text=FILE, **more):
    given = {"head": "a" * 40, "base": "b" * 40, "branch": "main", "default_branch": "main", "slug": "o/n", "actor": "ann"}
    return read_gitlab(".gitlab-ci.yml", yaml.load(text, Loader=_Loader), Source(**given | more))


def test_a_job_has_what_it_extends_and_hands_on_what_it_names():
    gate, deploy, late = read(event="push").jobs
    assert gate.env == {"A": "base", "B": "own"}
    assert [step.run or step.uses for step in gate.steps] == [
        "actions/checkout",
        "actions/cache",
        "pip install nox",
        "nox -s train",
        "nox -s gate",
        "gitlab/artifacts",
    ]
    assert gate.steps[1].inputs == {"path": ".cache/uv\n.dvc/cache"}
    assert gate.steps[-1].inputs == {"paths": "artifacts/model", "dotenv": "reports/bundle.env"}
    assert deploy.steps[1].inputs == {"from": "gate"}
    assert deploy.steps[2].run == "pip install nox"
    assert (deploy.environment, deploy.manual, deploy.needs, deploy.why_not) == ("production", True, ("gate",), "")
    assert (late.needs, late.keep_going) == (("gate",), True)


def test_rules_decide_what_a_pipeline_of_an_event_holds():
    gate, deploy, _ = read().jobs
    assert gate.why_not == ""
    assert "none of its rules" in deploy.why_not
    assert all("workflow.rules" in job.why_not for job in read(event="web").jobs)


def test_a_session_sees_gitlab_s_variables():
    pipeline = read(variables={"GIT_DEPTH": "20"})
    assert (pipeline.env["CI_MERGE_REQUEST_DIFF_BASE_SHA"], pipeline.env["GIT_DEPTH"], pipeline.env["GITLAB_CI"]) == (
        "b" * 40,
        "20",
        "true",
    )


def test_a_job_waits_for_those_of_earlier_stages_that_the_pipeline_has():
    one, two = "one: {stage: a, rules: [{if: $ONE}], script: x}", "two: {stage: b, script: y}"
    text = f"stages: [a, b]\n{one}\n{two}\nnamed: {{stage: b, needs: [one], script: z}}"
    assert [job.needs for job in read(text).jobs] == [(), (), ("one",)]
    assert [job.needs for job in read(text, variables={"ONE": "1"}).jobs] == [(), ("one",), ("one",)]


def test_a_variable_of_the_project_stands_above_those_of_the_file():
    text = 'a: {variables: {HOME_OF: /var, RUN: ""}, rules: [{if: $RUN == "b", variables: {HOME_OF: /opt}}], script: x}'
    (job,) = read(text, variables={"HOME_OF": "/srv", "RUN": "b"}).jobs
    assert (job.why_not, job.env["HOME_OF"], job.env["RUN"]) == ("", "/srv", "b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("include: other.yml", "`include` is not read"),
        ("a: {stage: nowhere, script: x}", "no stage 'nowhere'"),
        ("a: {extends: .gone, script: x}", "extends '.gone'"),
        (".a: {extends: .b}\n.b: {extends: .a}\nc: {extends: .a, script: x}", "extends"),
        ("a: {needs: [nobody], script: x}", "no such job"),
    ],
)
def test_a_file_that_cannot_be_run_is_refused(text, words):
    with pytest.raises(UsageError, match=words):
        read(text)
