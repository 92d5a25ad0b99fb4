"""Who acts is named as the forge knows them, and elsewhere as this machine does."""

import getpass

import pytest

from seatrial.tools import who


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ann", "GITHUB_TRIGGERING_ACTOR": "bob"}, "bob"),
        ({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ann"}, "ann"),
        ({"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "cleo"}, "cleo"),
        ({"GITHUB_ACTOR": "ann", "GITLAB_USER_LOGIN": "cleo"}, getpass.getuser()),
        ({"GITHUB_ACTIONS": "true"}, getpass.getuser()),
    ],
)
def test_the_person_behind_a_job_is_the_one_that_the_forge_names(env, name):
    assert who(env) == name
