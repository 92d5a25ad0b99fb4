"""What acts on the world is left out unless asked for, and every refusal has its reason."""

import pytest

from seatrial.ci.choice import Allowed, why_no_job, why_no_step
from seatrial.ci.expressions import GitHubLanguage
from seatrial.ci.pipeline import Job, Step

LANGUAGE = GitHubLanguage()


def why(job, *, allowed=None, context=None, **results):
    return why_no_job(job, LANGUAGE, context or {}, results=results, allowed=allowed or Allowed())


def job(**more):
    return Job(id="deploy", name="Roll out", steps=(), **more)


def test_a_job_of_an_environment_runs_only_when_asked_for_or_as_a_rehearsal():
    one = job(environment="production")
    assert "--allow production" in why(one)
    assert "production" in why(one, allowed=Allowed(names=frozenset({"staging"})))
    assert why(one, allowed=Allowed(names=frozenset({"production"}))) == ""
    assert why(one, allowed=Allowed(ephemeral=True)) == ""


def test_a_job_that_may_write_at_the_forge_is_not_rehearsed_either():
    one = job(writes=("issues", "pull-requests"))
    assert "'issues'" in why(one, allowed=Allowed(ephemeral=True))
    assert "'pull-requests'" in why(one, allowed=Allowed(names=frozenset({"issues"})))
    assert why(one, allowed=Allowed(names=frozenset({"issues", "pull-requests"}))) == ""


def test_a_person_s_job_waits_for_the_person():
    assert "--allow deploy" in why(job(manual=True))
    assert why(job(manual=True), allowed=Allowed(names=frozenset({"deploy"}))) == ""


@pytest.mark.parametrize(("result", "words"), [("failure", "which failed"), ("skipped", "which did not run"), ("success", "")])
def test_a_job_needs_those_before_it_to_have_passed(result, words):
    said = why(job(needs=("gate",)), gate=result)
    assert words in said
    assert bool(said) is bool(words)


def test_a_job_that_asks_for_the_status_runs_after_a_failure():
    assert why(job(needs=("gate",), condition="always()"), gate="failure") == ""
    assert why(job(needs=("gate",), condition="failure()"), gate="success") == "its condition does not hold: failure()"


def test_a_condition_that_cannot_be_evaluated_leaves_the_job_out():
    assert "cannot be evaluated here" in why(job(condition="secret.thing"))


def test_only_the_jobs_that_are_asked_for_run():
    assert why(job(), allowed=Allowed(only=frozenset({"gate"}))) == "it was not asked for"


def test_a_step_after_a_failure_runs_only_where_it_says_so():
    assert why_no_step(Step(name="x", run="y"), LANGUAGE, {}, failed=True) == "a step before it failed"
    assert why_no_step(Step(name="x", run="y", condition="always()"), LANGUAGE, {}, failed=True) == ""
    assert "does not hold" in why_no_step(Step(name="x", run="y", condition="failure()"), LANGUAGE, {}, failed=False)
