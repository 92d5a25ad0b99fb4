"""The model test suite from a test that somebody writes to its line in the verdict, in a process of its own."""

from pathlib import Path

import pytest

from seatrial.gate import suite_checks
from seatrial.suite import run_suite
from seatrial.verdict import Outcome
from tests.bundles import make_bundle

PARAMS = """\
model: {name: m}
data: {raw: data/raw.csv, target: left, positive: "Yes", id: client}
"""

CONFTEST = """\
import polars as pl
import pytest

from seatrial.suite import champion, model, policy, project, pytest_configure
from tests.bundles import make_rows

__all__ = ["champion", "model", "policy", "project", "pytest_configure"]


@pytest.fixture(scope="session")
def rows():
    return pl.DataFrame(make_rows(200))
"""

TESTS = '''\
import polars as pl
import pytest

from seatrial import claims
from seatrial.verdict import Outcome


def test_answers(model, rows):
    """Every row is answered.

    The rest of a docstring is for readers of the test.
    """
    claims.assert_answers(model, rows)


def test_a_name_without_docstring(model):
    assert model.size > 0


def test_an_empty_docstring():
    """   """


@pytest.mark.parametrize("colour", ["red", "green"])
def test_colours(model, rows, colour):
    """A colour is answered."""
    claims.assert_answers(model, rows.with_columns(colour=pl.lit(colour)), what=f"in {colour}")


class TestShapes:
    def test_many(self, model, rows):
        """One answer for each row."""
        assert model.score(rows).shape == (rows.height,)

    class TestInner:
        @pytest.mark.parametrize("count", [1])
        def test_one(self, model, rows, count):
            """One answer for one row."""
            claims.assert_at_least("the number of answers", len(model.score(rows.head(count))), 1)


def test_a_change_moves_answers(model, rows):
    """Visits do not matter."""
    claims.assert_at_least("the number of rows", rows.height, 1)
    claims.assert_invariant(model, rows, lambda one: one.with_columns(pl.col("visits") + 5), within=0.01)


def test_a_plain_assertion():
    """Two is three."""
    claims.assert_at_least("something else", 3, 2)
    assert 2 == 3, "two is not three"


@pytest.fixture
def torn():
    raise OSError("the disk is gone")


def test_with_a_fixture_that_breaks(torn):
    """The disk is there."""


@pytest.fixture
def unclean():
    yield
    raise OSError("cannot tidy up")


def test_with_a_tear_down_that_breaks(unclean):
    """All is tidied up."""


def test_that_fails_and_breaks_then(unclean):
    """A failure stays one."""
    claims.assert_at_least("a", 1, 2)


@pytest.mark.xfail(reason="known since May")
def test_expected(model):
    """What is known to be wrong."""
    claims.assert_at_least("recall", 0.1, 0.5)


@pytest.mark.xfail(reason="never run", run=False)
def test_expected_and_not_run():
    """Nobody looks."""


@pytest.mark.xfail(reason="known since May", strict=True)
def test_mended():
    """What was known to be wrong."""
    claims.assert_at_least("recall", 0.9, 0.5)


def test_left_out():
    """There is an id."""
    pytest.skip("the table has no id column")


def test_too_little():
    """Rare rows are answered well."""
    claims.undecided("only 3 rare rows")


def test_too_little_by_measure():
    """Rare rows are measured."""
    claims.conclude(claims.Finding(observed=0.5, limit=0.4, sentence="0.5 or less", outcome=Outcome.INCONCLUSIVE))


@pytest.mark.advisory
def test_marked():
    """Nice to have."""
    claims.assert_at_most("age", 3, 2)


def test_advisory_claim_before_one_that_holds():
    """Shown only."""
    claims.assert_at_most("age", 3, 2, advisory=True)
    claims.assert_at_most("height", 1, 2)


def test_advisory_claim_before_one_that_does_not_hold():
    """Blocks all the same."""
    claims.assert_at_most("age", 3, 2, advisory=True)
    claims.assert_at_most("height", 5, 2)


def test_no_number():
    """A number is measured."""
    claims.assert_at_most("age", float("nan"), 2)


def test_of_the_machine(model):
    """Memory is there."""
    claims.conclude(claims.Finding(observed=1, limit=2, sentence="1 of 2", volatile=True))


def test_after_all_others():
    """Nothing is claimed."""
'''

SECOND = '''\
def test_answers():
    """A test of the same name in another file."""
'''


@pytest.fixture(scope="module")
def checks(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    folder = root / "suite"
    folder.mkdir()
    make_bundle(root / "bundle")
    (root / "params.yaml").write_text(PARAMS)
    for name, text in {"conftest": CONFTEST, "test_mine": TESTS, "test_second": SECOND, "test_torn": "def test_(:\n"}.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "test_off.py").write_text("import pytest\n\npytest.skip('not here', allow_module_level=True)\n")
    subject = {"bundle": str(root / "bundle"), "digest": None, "champion": None, "champion_digest": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # the suite's conftest.py makes rows with tests.bundles
        results = run_suite(folder, root=root, environment="local", subject=subject, timeout=120)
    found = suite_checks(results)
    assert len({check.name for check in found}) == len(found), "two checks have one name"
    return {check.name.removeprefix("suite."): check for check in found}


def test_a_test_appears_by_its_docstring_with_what_its_claims_found(checks):
    check = checks["test_mine.test_answers"]
    assert (check.outcome, check.advisory, check.observed, check.limit) == (Outcome.PASS, False, 0, 0)
    assert check.message == "Every row is answered: all 200 answers are probabilities"


def test_two_files_may_have_tests_of_one_name(checks):
    assert checks["test_second.test_answers"].message == "A test of the same name in another file"


def test_without_a_docstring_the_name_speaks(checks):
    assert checks["test_a_name_without_docstring"].message == "a name without docstring"
    assert checks["test_an_empty_docstring"].message == "an empty docstring"


def test_parameters_stand_in_name_and_sentence(checks):
    for colour in ("red", "green"):
        check = checks[f"test_colours[{colour}]"]
        assert check.message == f"A colour is answered [{colour}]: all 200 answers are probabilities in {colour}"


def test_a_class_stands_in_the_name(checks):
    assert checks["TestShapes.test_many"].message == "One answer for each row"
    inner = checks["TestShapes.TestInner.test_one[1]"]
    assert (inner.message, inner.observed) == ("One answer for one row [1]: the number of answers 1 is at least 1", 1)


def test_a_claim_that_does_not_hold_fails_with_its_numbers_and_rows(checks):
    check = checks["test_a_change_moves_answers"]
    assert (check.outcome, check.limit, check.blocks) == (Outcome.FAIL, 0.01, True)
    assert check.observed > 0.01
    assert check.message.startswith("Visits do not matter: all 200 rows move by 0.")
    assert "(for example c0-" in check.message
    assert check.message.count(" → ") == 5
    assert check.message.endswith("; the number of rows 200 is at least 1")


def test_a_plain_assertion_fails_without_the_numbers_of_an_earlier_claim(checks):
    check = checks["test_a_plain_assertion"]
    assert (check.outcome, check.observed, check.limit) == (Outcome.FAIL, None, None)
    assert check.message == "Two is three: two is not three"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("test_with_a_fixture_that_breaks", "The disk is there: the disk is gone"),
        ("test_with_a_tear_down_that_breaks", "All is tidied up: cannot tidy up"),
    ],
)
def test_a_fixture_that_breaks_is_an_error(checks, name, message):
    assert (checks[name].outcome, checks[name].message, checks[name].blocks) == (Outcome.ERROR, message, True)


def test_a_failure_is_not_softened_by_a_broken_tear_down(checks):
    assert checks["test_that_fails_and_breaks_then"].outcome is Outcome.FAIL


def test_an_expected_failure_is_shown_as_one_and_does_not_block(checks):
    check = checks["test_expected"]
    assert (check.outcome, check.advisory, check.observed, check.limit) == (Outcome.FAIL, True, 0.1, 0.5)
    assert check.message == "What is known to be wrong: expected to fail (known since May): recall 0.1 is below 0.5"


def test_a_strict_expectation_that_is_not_met_fails_and_says_so(checks):
    check = checks["test_mended"]
    assert (check.outcome, check.blocks, check.observed) == (Outcome.FAIL, True, None)
    assert check.message == "What was known to be wrong: [XPASS(strict)] known since May"


@pytest.mark.parametrize("name", ["test_left_out", "test_expected_and_not_run", "test_off"])
def test_what_was_not_run_is_an_advisory_inconclusive(checks, name):
    assert (checks[name].outcome, checks[name].advisory) == (Outcome.INCONCLUSIVE, True)


def test_too_little_data_is_inconclusive_and_blocks(checks):
    said, measured = checks["test_too_little"], checks["test_too_little_by_measure"]
    assert (said.outcome, said.blocks, said.observed) == (Outcome.INCONCLUSIVE, True, None)
    assert said.message == "Rare rows are answered well: only 3 rare rows"
    assert (measured.outcome, measured.blocks, measured.observed, measured.limit) == (Outcome.INCONCLUSIVE, True, 0.5, 0.4)


def test_a_test_may_mark_itself_advisory(checks):
    assert (checks["test_marked"].outcome, checks["test_marked"].advisory) == (Outcome.FAIL, True)


def test_an_advisory_claim_shows_its_failure_and_hides_no_blocking_one(checks):
    shown = checks["test_advisory_claim_before_one_that_holds"]
    assert (shown.outcome, shown.advisory, shown.observed) == (Outcome.FAIL, True, 3)
    blocked = checks["test_advisory_claim_before_one_that_does_not_hold"]
    assert (blocked.outcome, blocked.advisory, blocked.observed) == (Outcome.FAIL, False, 5)
    assert blocked.message == "Blocks all the same: height 5 is above 2; age 3 is above 2"


def test_what_is_no_number_is_an_error(checks):
    assert (checks["test_no_number"].outcome, checks["test_no_number"].blocks) == (Outcome.ERROR, True)


def test_a_figure_of_the_machine_is_volatile(checks):
    assert [name for name, check in checks.items() if check.volatile] == ["test_of_the_machine"]


def test_a_test_inherits_nothing_from_the_one_before(checks):
    check = checks["test_after_all_others"]
    assert (check.outcome, check.observed, check.message) == (Outcome.PASS, None, "Nothing is claimed")


def test_a_file_that_cannot_be_collected_is_an_error(checks):
    assert (checks["test_torn"].outcome, checks["test_torn"].blocks) == (Outcome.ERROR, True)


@pytest.mark.parametrize(
    ("text", "timeout", "words"),
    [
        ("import os\n\ndef test_it():\n    os._exit(3)\n", 60, "process ended with 3"),
        ("import time\n\ndef test_it():\n    time.sleep(60)\n", 3, "did not end within 3 s"),
        ("import pytest\n\ndef test_it():\n    pytest.exit('enough', returncode=7)\n", 60, "ended early with 7"),
    ],
)
def test_a_suite_that_dies_or_hangs_is_an_error(tmp_path, text, timeout, words):
    (tmp_path / "test_it.py").write_text(text)
    results = run_suite(tmp_path, root=tmp_path, environment="local", subject={"bundle": "none"}, timeout=timeout)
    assert results[-1].outcome == "error"
    assert words in results[-1].reason
