"""Several writers at once: no registration is lost, and every champion replaced the one before it."""

import pytest

from tests.writers import problems, run_writers

pytestmark = pytest.mark.slow


def test_writers_at_the_same_time_lose_nothing(tmp_path):
    answers = run_writers(tmp_path, 3, 4)
    assert sum(len(answer["registered"]) for answer in answers) == 12
    assert problems(tmp_path, answers) == []
