"""The fixtures of the model test suite: `model`, `champion`, `train_data`, `test_data`, `labels`, `policy`."""

from seatrial.suite import champion, labels, model, policy, project, test_data, train_data

__all__ = ["champion", "labels", "model", "policy", "project", "test_data", "train_data"]
