"""GitLab's rules mean here what they mean there."""

import pytest

from seatrial.ci.gitlab_rules import GitLabLanguage, condition_holds
from seatrial.ci.pipeline import ExpressionError

SET = {"SOURCE": "push", "BRANCH": "main", "DEFAULT": "main", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ('$SOURCE == "push"', True),
        ("$SOURCE != 'push'", False),
        ("$BRANCH == $DEFAULT", True),
        ("$BRANCH", True),
        ("$EMPTY", False),
        ("$NOT_SET", False),
        ("$NOT_SET == null", True),
        ("$EMPTY == null", False),
        ("$BRANCH =~ /^MA/i", True),
        ("$BRANCH !~ /^rel/", True),
        ("$NOT_SET =~ /x/", False),
        ('$SOURCE == "web" || $SOURCE == "push" && $BRANCH == "main"', True),
        ('($SOURCE == "web" || $SOURCE == "push") && $BRANCH == "other"', False),
    ],
)
def test_a_rule_has_gitlab_s_answer(text, holds):
    assert condition_holds(text, SET) is holds


@pytest.mark.parametrize("text", ["$A ==", "push", "$A == 'x' and", "($A", "$A =~ 'x'", "== $A"])
def test_what_cannot_be_read_is_an_error_that_shows_the_rule(text):
    with pytest.raises(ExpressionError):
        condition_holds(text, {"A": "x"})


def test_variables_are_filled_in_and_what_is_not_set_is_empty():
    assert GitLabLanguage().text("${SOURCE}-$BRANCH-$NOT_SET.", SET) == "push-main-."


@pytest.mark.parametrize(("when", "after_success", "after_failure"), [("", True, False), ("always", True, True), ("failure", False, True)])
def test_artifacts_are_handed_over_when_the_file_says(when, after_success, after_failure):
    assert GitLabLanguage().holds(when, {}, failed=False) is after_success
    assert GitLabLanguage().holds(when, {}, failed=True) is after_failure
