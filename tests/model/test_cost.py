"""What the model costs. How fast it answers is a check of the gate's own, beside the champion's time: `latency.…`."""

from seatrial.claims import assert_memory, assert_size

MAX_MEMORY_MB = 1000
"""For one server process: Python, the libraries and the model."""


def test_the_bundle_is_small_enough(model, policy):
    """The bundle's files together keep gate.max_bundle_mb."""
    assert_size(model, policy.max_bundle_mb)


def test_the_model_fits_into_memory(model):
    """A process that serves the model takes little memory."""
    assert_memory(model, MAX_MEMORY_MB)
