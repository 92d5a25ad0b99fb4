import pytest

from seatrial.serving.batches import LARGEST, BrokenAnswer, score_all, size_that_pays
from seatrial.serving.rows import Decoder
from seatrial.serving.runtime import Runtime
from tests.bundles import make_bundle, make_rows


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    return Runtime(make_bundle(tmp_path_factory.mktemp("bundle") / "model"))


@pytest.fixture(scope="module")
def decoder(runtime):
    return Decoder(runtime.bundle.manifest)


class Counting:
    """A runtime that keeps how many rows each call had; it may fail at given calls, or be wrong or slow in batches."""

    def __init__(self, runtime, *, fails=lambda blocks: False, off=0.0):
        self.calls = []
        self._runtime, self._fails, self._off = runtime, fails, off
        self.blocks = runtime.blocks

    def score(self, blocks):
        self.calls.append(blocks.rows)
        if self._fails(blocks):
            raise ValueError("broken")
        return self._runtime.score(blocks) + (self._off if blocks.rows > 1 else 0.0)


class Clock:
    """Moves by what a call of so many rows is said to cost."""

    def __init__(self, counting, cost):
        self._counting, self._cost = counting, cost

    def __call__(self):
        return sum(self._cost(rows) for rows in self._counting.calls)


def singles(decoder, count):
    return [decoder.records([row]) for row in make_rows(count)]


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 130])
def test_rows_scored_together_get_the_very_answers_that_they_get_alone(runtime, decoder, count):
    asked = singles(decoder, count)
    alone = [runtime.score(runtime.blocks(*rows.flat)).tobytes() for rows in asked]
    assert [found.tobytes() for found in score_all(runtime, asked, largest=LARGEST)] == alone


@pytest.mark.parametrize(("count", "calls"), [(1, [1]), (3, [3]), (4, [4]), (5, [4, 1])])
def test_a_call_takes_no_more_rows_than_it_may(runtime, decoder, count, calls):
    counting = Counting(runtime)
    score_all(counting, singles(decoder, count), largest=4)
    assert counting.calls == calls


def test_requests_of_several_rows_are_scored_alone_and_every_answer_keeps_its_place(runtime, decoder):
    rows = make_rows(9)
    asked = [decoder.records(rows[0:1]), decoder.records(rows[1:4]), decoder.records([]), decoder.records(rows[4:5])]
    counting = Counting(runtime)
    found = score_all(counting, asked, largest=LARGEST)
    assert sorted(counting.calls) == [0, 2, 3]
    assert [one.tobytes() for one in found] == [runtime.score(runtime.blocks(*one.flat)).tobytes() for one in asked]


def test_without_batches_each_is_scored_alone(runtime, decoder):
    counting = Counting(runtime)
    score_all(counting, singles(decoder, 3), largest=1)
    assert counting.calls == [1, 1, 1]


def test_where_a_batch_fails_only_the_request_at_fault_is_told(runtime, decoder):
    asked = singles(decoder, 5)
    bad = asked[2].numbers[0] = 12345.0
    found = score_all(Counting(runtime, fails=lambda blocks: bad in blocks.numbers), asked, largest=LARGEST)
    assert [isinstance(one, BrokenAnswer) for one in found] == [False, False, True, False, False]
    assert found[4].tobytes() == runtime.score(runtime.blocks(*asked[4].flat)).tobytes()


@pytest.mark.parametrize(
    ("cost", "size"),
    [
        (lambda rows: 0.0001, LARGEST),
        (lambda rows: 0.0002 * rows, 16),
        (lambda rows: 0.005 if rows == 1 else 0.0051, 1),
        (lambda rows: 0.0001 * rows**2, 1),
    ],
    ids=["a batch costs as much as a row", "64 rows would take too long", "any batch takes too long", "a batch costs more than its rows"],
)
def test_the_size_of_a_batch_follows_from_what_it_costs(runtime, decoder, cost, size):
    counting = Counting(runtime)
    assert size_that_pays(counting, decoder.records(make_rows(7)), clock=Clock(counting, cost)) == size


def test_a_model_that_answers_otherwise_in_a_batch_is_asked_row_by_row(runtime, decoder):
    counting = Counting(runtime, off=1e-7)
    assert size_that_pays(counting, decoder.records(make_rows(7)), clock=Clock(counting, lambda rows: 0.0)) == 1


def test_without_golden_rows_nothing_is_scored_together(runtime, decoder):
    assert size_that_pays(runtime, decoder.records([])) == 1
