"""Claims for the model test suite: each gives its evidence as a `Finding`, or ends the test with it.

    from seatrial.claims import assert_invariant

    def test_a_note_does_not_matter(model, test_data):
        \"\"\"A note of the sales staff changes no answer.\"\"\"
        assert_invariant(model, test_data, lambda rows: rows.with_columns(note=pl.lit("x")), within=0)

A claim that does not hold raises an AssertionError with its sentence and up to five examples. With `advisory=True` it is shown
and the test goes on. Either way value, limit and sentence stand in the verdict; docs/gate.md lists the claims.
"""

from seatrial.claims.behaviour import (
    assert_answers,
    assert_batch_of_one,
    assert_deterministic,
    assert_direction,
    assert_few_flips,
    assert_invariant,
    assert_matches_sklearn,
    assert_same_answers,
)
from seatrial.claims.cost import assert_fast, assert_memory, assert_size
from seatrial.claims.fairness import assert_fairness
from seatrial.claims.finding import ClaimError, Finding, Undecided, conclude, undecided
from seatrial.claims.quality import (
    assert_at_least,
    assert_at_most,
    assert_calibrated,
    assert_metric,
    assert_no_regression,
    assert_slices,
)

__all__ = [
    "ClaimError",
    "Finding",
    "Undecided",
    "assert_answers",
    "assert_at_least",
    "assert_at_most",
    "assert_batch_of_one",
    "assert_calibrated",
    "assert_deterministic",
    "assert_direction",
    "assert_fairness",
    "assert_fast",
    "assert_few_flips",
    "assert_invariant",
    "assert_matches_sklearn",
    "assert_memory",
    "assert_metric",
    "assert_no_regression",
    "assert_same_answers",
    "assert_size",
    "assert_slices",
    "conclude",
    "undecided",
]
