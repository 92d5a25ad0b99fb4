"""Whether the groups of data.groups are treated alike, by three criteria that cannot all hold at once where base rates differ."""

import pytest

from seatrial.claims import assert_fairness


@pytest.mark.parametrize("criterion", ["equal_opportunity", "equalized_odds", "demographic_parity"])
def test_groups_are_treated_alike(model, test_data, labels, policy, project, criterion):
    """The rates of any two groups differ by at most the margin of gate.fairness."""
    if not project.settings.data.groups:
        pytest.skip("data.groups is empty")
    fairness = policy.fairness
    for column in project.settings.data.groups:
        assert_fairness(
            model,
            test_data,
            labels,
            column,
            criterion,
            within=fairness.margin,
            min_rows=fairness.min_positives,
            confidence=policy.confidence,
            advisory=fairness.absolute == "advisory",
        )
