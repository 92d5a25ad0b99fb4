"""Who a reader of the registry is, by its address or by MLflow's variables."""

from base64 import b64decode
from urllib.parse import urlsplit

import pytest

from seatrial.adapters.registry_doors import _credentials


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)


def told(address):
    """The kind of credentials, and what they say in plain text."""
    kind, _, words = _credentials(urlsplit(address)).get("Authorization", "").partition(" ")
    return kind, b64decode(words).decode() if kind == "Basic" else words


def test_user_and_password_may_stand_in_the_address_where_signs_are_escaped():
    assert told("https://ann:p%40ss%20word@mlflow:5000") == ("Basic", "ann:p@ss word")


def test_a_password_may_come_from_the_environment_beside_a_user_of_the_address(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "word%20")
    assert told("https://ann@mlflow") == ("Basic", "ann:word%20")


def test_a_token_is_used_where_there_is_no_user(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    assert told("https://mlflow") == ("Bearer", "t0ken")


def test_without_any_nothing_is_sent():
    assert told("https://mlflow") == ("", "")
