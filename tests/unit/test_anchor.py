import pytest

from seatrial.anchor import promotion, settle_anchor, way_back
from seatrial.rollout_state import Pin
from tests.rollouts import MemoryRegistry


def pin(number):
    return Pin(version=number, digest=f"sha256:{number}")


@pytest.fixture
def registry():
    """Three versions; the second beats the first, the third beats nobody."""
    registry = MemoryRegistry()
    for number, beats in ((1, ""), (2, "sha256:1"), (3, "")):
        registry.add(f"sha256:{number}", "gate", beats=beats)
    return registry


def promote(registry, number, before):
    registry.aliases["champion"] = number
    settle_anchor(registry, None, promotion(number, before and pin(before))["anchor"])


def test_the_first_release_is_the_anchor(registry):
    promote(registry, 1, None)
    assert registry.aliases["anchor"] == 1


def test_a_version_that_beats_the_anchor_becomes_it_and_one_that_does_not_leaves_it(registry):
    promote(registry, 1, None)
    promote(registry, 2, 1)
    promote(registry, 3, 2)
    assert (registry.aliases["champion"], registry.aliases["anchor"]) == (3, 2)


@pytest.mark.parametrize(("number", "anchor"), [(2, 2), (3, 1)])
def test_without_an_anchor_the_champion_before_stands_for_it(registry, number, anchor):
    promote(registry, number, 1)
    assert registry.aliases["anchor"] == anchor


def test_to_beat_another_version_than_the_anchor_is_not_enough(registry):
    registry.aliases["anchor"] = 3
    promote(registry, 2, 1)
    assert registry.aliases["anchor"] == 3


def test_twice_is_once_and_what_moved_on_meanwhile_is_left(registry):
    promote(registry, 1, None)
    promote(registry, 2, 1)
    settle_anchor(registry, None, promotion(2, pin(1))["anchor"])
    settle_anchor(registry, None, promotion(1, None)["anchor"])
    assert registry.aliases["anchor"] == 2


def test_an_anchor_that_is_rolled_back_gives_way_to_the_one_that_it_beat(registry):
    registry.aliases |= {"champion": 3, "anchor": 2}
    settle_anchor(registry, None, way_back(3, 1)["anchor"])
    assert registry.aliases["anchor"] == 2
    for _ in range(2):
        settle_anchor(registry, None, way_back(2, 3)["anchor"])
        assert registry.aliases["anchor"] == 1


def test_an_anchor_of_which_nobody_knows_whom_it_beat_gives_way_to_the_champion(registry):
    registry.aliases["anchor"] = 3
    settle_anchor(registry, None, way_back(3, 2)["anchor"])
    assert registry.aliases["anchor"] == 2
