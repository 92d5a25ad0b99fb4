"""GitHub's expressions mean here what they mean there, and what is not known is never guessed."""

import pytest

from seatrial.ci.expressions import GitHubLanguage, evaluate
from seatrial.ci.pipeline import ExpressionError

CONTEXT = {
    "github": {"ref": "refs/heads/main", "event": {"number": 7, "pull_request": None}},
    "inputs": {"approve": "", "run": False},
    "vars": {"HOST": '["self-hosted", "here"]'},
    "needs": {"gate": {"outputs": {"bundle": "sha256:ab"}, "result": "success"}},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("inputs.approve || github.ref", "refs/heads/main"),
        ("inputs.approve && 'yes' || 'no'", "no"),
        ("github.event.pull_request.head.repo.full_name || 'fork'", "fork"),
        ("fromJSON(vars.HOST)[1]", "here"),
        ("needs.gate.outputs['bundle']", "sha256:ab"),
        ("format('run {0} of {1}', github.event.number, 'main')", "run 7 of main"),
        ("startsWith(github.ref, 'REFS/heads/')", True),
        ("contains(fromJSON('[\"success\", \"failure\"]'), 'Failure')", True),
        ("contains('abc', 'd')", False),
        ("!inputs.run && (1 < 2)", True),
        ("'it''s'", "it's"),
        ("'MAIN' == 'main'", True),
        ("vars.NOT_SET != ''", False),
        ("github.event.number >= 7.0", True),
        ("true == 1", True),
        ("fromJSON('30')", 30),
    ],
)
def test_an_expression_has_github_s_value(text, value):
    assert evaluate(text, CONTEXT) == value


@pytest.mark.parametrize(
    "text", ["unknown.thing", "hash('x')", "github.ref ==", "(github.ref", "'open", "github.ref 'x'", "fromJSON('{')", "1 +", "a b"]
)
def test_what_is_not_known_is_an_error_that_shows_the_expression(text):
    with pytest.raises(ExpressionError, match="`"):
        evaluate(text, CONTEXT)


def test_a_template_is_filled_in_and_the_rest_stays():
    language = GitHubLanguage()
    assert language.text("a-${{ github.event.number }}-${{ inputs.run }}-$HOME", CONTEXT) == "a-7-false-$HOME"
    assert language.text("${{ vars.NOT_SET }}", CONTEXT) == ""


@pytest.mark.parametrize(
    ("condition", "after_success", "after_failure"),
    [
        ("", True, False),
        ("always()", True, True),
        ("failure()", False, True),
        ("${{ !cancelled() }}", True, True),
        ("github.event.number == 7", True, False),
        ("always() && inputs.run", False, False),
    ],
)
def test_a_condition_means_success_unless_it_asks_for_the_status(condition, after_success, after_failure):
    language = GitHubLanguage()
    assert language.holds(condition, CONTEXT, failed=False) is after_success
    assert language.holds(condition, CONTEXT, failed=True) is after_failure
