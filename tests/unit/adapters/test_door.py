"""How the endpoint may be entered."""

import datetime as dt

import pytest

from seatrial.adapters.door import ENDPOINT_TOKEN, TESTER_TOKEN, door_of, read_tls, read_token
from seatrial.errors import EndpointError
from seatrial.params_rollout import Rollout, Sticky, TlsFiles
from tests.certificates import make_pair

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return make_pair(tmp_path_factory.mktemp("tls"), since=NOW, until=NOW + dt.timedelta(days=1))


def door(home, *, env=None, **settings):
    return door_of(Rollout(**settings), home=home, root=home, env=env or {}, now=NOW)


def tls_of(pair):
    return TlsFiles(certificate=str(pair.certificate), key=str(pair.key))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_nothing(tmp_path, host):
    found = door(tmp_path, host=host)
    assert (found.token, found.tester_token, found.certificate) == (None, None, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_what_others_can_reach_needs_a_token_or_tls(tmp_path, pair, host):
    with pytest.raises(EndpointError, match="can be reached by others"):
        door(tmp_path, host=host, env={TESTER_TOKEN: TOKEN})
    assert door(tmp_path, host=host, env={ENDPOINT_TOKEN: TOKEN}).token == TOKEN
    assert door(tmp_path, host=host, tls=tls_of(pair)).certificate == pair.certificate.read_text()


def test_a_host_that_is_no_address_is_refused(tmp_path):
    with pytest.raises(EndpointError, match=r"rollout\.host 'no such host' is no address"):
        door(tmp_path, host="no such host")


def test_the_key_of_params_is_passed_on(tmp_path):
    assert door(tmp_path, sticky=Sticky(header="x-a")).sticky_header == "x-a"
    assert door(tmp_path, sticky=Sticky(field="a")).sticky_field == "a"


@pytest.mark.parametrize(("length", "good"), [(15, False), (16, True), (512, True), (513, False)])
def test_a_token_has_16_to_512_characters(tmp_path, length, good):
    if good:
        assert read_token(ENDPOINT_TOKEN, home=tmp_path, env={ENDPOINT_TOKEN: "a" * length}) == "a" * length
        return
    with pytest.raises(EndpointError, match=f"cannot be used: {length} characters") as caught:
        read_token(ENDPOINT_TOKEN, home=tmp_path, env={ENDPOINT_TOKEN: "a" * length})
    assert "aaa" not in str(caught.value)


@pytest.mark.parametrize("sign", [" ", "'", '"', "\\", "\n", "%", ",", "é"])
def test_a_token_has_no_sign_that_could_end_a_text(tmp_path, sign):
    with pytest.raises(EndpointError, match="cannot be used"):
        read_token(TESTER_TOKEN, home=tmp_path, env={TESTER_TOKEN: f"{TOKEN}{sign}{TOKEN}"})


def test_an_empty_variable_is_no_token_and_is_refused_rather_than_ignored(tmp_path):
    with pytest.raises(EndpointError, match="0 characters"):
        read_token(ENDPOINT_TOKEN, home=tmp_path, env={ENDPOINT_TOKEN: ""})


def test_the_variable_comes_before_the_file(tmp_path):
    (tmp_path / "endpoint-token").write_text(f"{TOKEN}-of-the-file\n")
    (tmp_path / "endpoint-token").chmod(0o600)
    assert read_token(ENDPOINT_TOKEN, home=tmp_path, env={}) == f"{TOKEN}-of-the-file"
    assert read_token(ENDPOINT_TOKEN, home=tmp_path, env={ENDPOINT_TOKEN: TOKEN}) == TOKEN
    assert read_token(TESTER_TOKEN, home=tmp_path, env={}) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_token_that_others_can_read_is_refused(tmp_path, mode):
    path = tmp_path / "tester-token"
    path.write_text(TOKEN)
    path.chmod(mode)
    with pytest.raises(EndpointError, match="others can read") as caught:
        read_token(TESTER_TOKEN, home=tmp_path, env={})
    assert "chmod 600" in str(caught.value)


def test_relative_paths_count_from_the_project(tmp_path):
    pair = make_pair(tmp_path, since=NOW, until=NOW + SECOND)
    files = TlsFiles(certificate="own.pem", key="own.key")
    assert read_tls(files, root=tmp_path, now=NOW) == (pair.certificate.read_text(), pair.key.read_text())


@pytest.mark.parametrize(
    ("now", "good"),
    [(NOW - SECOND, False), (NOW, True), (NOW + dt.timedelta(days=1) - SECOND, True), (NOW + dt.timedelta(days=1), False)],
)
def test_a_certificate_is_good_from_its_first_second_to_before_its_last(pair, tmp_path, now, good):
    if good:
        assert read_tls(tls_of(pair), root=tmp_path, now=now)
        return
    with pytest.raises(EndpointError, match="valid from 2026-06-01 12:00 to 2026-06-02 12:00 UTC, which is not now"):
        read_tls(tls_of(pair), root=tmp_path, now=now)


def test_files_that_are_missing_empty_or_no_pair_are_refused_in_one_sentence(pair, tmp_path):
    other, empty = make_pair(tmp_path, "other", since=NOW), tmp_path / "empty"
    empty.write_bytes(b"")
    refused = {
        "there is no file": (tmp_path / "none", pair.key),
        "key values mismatch": (pair.certificate, other.key),
        "are no certificate with": (pair.key, pair.certificate),
        "no certificate with its unencrypted": (empty, empty),
    }
    for words, (certificate, key) in refused.items():
        with pytest.raises(EndpointError, match=words) as caught:
            read_tls(TlsFiles(certificate=str(certificate), key=str(key)), root=tmp_path, now=NOW)
        assert "\n" not in str(caught.value)


def test_an_encrypted_key_is_refused_and_asks_for_no_password(pair, tmp_path):
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    secret = serialization.BestAvailableEncryption(b"hidden")
    locked.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret))
    with pytest.raises(EndpointError, match="unencrypted private key"):
        read_tls(TlsFiles(certificate=str(pair.certificate), key=str(locked)), root=tmp_path, now=NOW)
