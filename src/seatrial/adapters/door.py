"""How the endpoint may be entered, from params.yaml, the environment and files, checked before anything listens.

Who listens beyond this machine without a token or TLS is refused; so are files that Envoy could not use, because a listener that
Envoy refuses is one that nobody reaches.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

from seatrial.adapters.envoy_listener import Door
from seatrial.errors import EndpointError
from seatrial.params_rollout import Rollout, TlsFiles

ENDPOINT_TOKEN, TESTER_TOKEN = "SEATRIAL_ENDPOINT_TOKEN", "SEATRIAL_TESTER_TOKEN"
FILES = {ENDPOINT_TOKEN: "endpoint-token", TESTER_TOKEN: "tester-token"}
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,512}")


def door_of(settings: Rollout, *, home: Path, root: Path, env: Mapping[str, str], now: dt.datetime) -> Door:
    """The door that `settings` ask for; relative paths count from `root`, `now` is aware.

    Raises EndpointError for a host that is not this machine's, one that others can reach while neither a token nor TLS is
    configured, a token that is too short or that others can read, and TLS files that are missing, expired or no pair.
    """
    host, token = numeric(settings.host), read_token(ENDPOINT_TOKEN, home=home, env=env)
    if token is None and settings.tls is None and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        raise EndpointError(
            f"rollout.host {settings.host!r} can be reached by others, and neither a token nor TLS is configured",
            hint=f"set {ENDPOINT_TOKEN}, give rollout.tls, or listen on 127.0.0.1",
        )
    certificate, key = (None, None) if settings.tls is None else read_tls(settings.tls, root=root, now=now)
    sticky = settings.sticky
    return Door(
        host=host,
        port=settings.port,
        access_log=settings.access_log,
        sticky_header=sticky.header if sticky else None,
        sticky_field=sticky.field if sticky else None,
        token=token,
        tester_token=read_token(TESTER_TOKEN, home=home, env=env),
        certificate=certificate,
        key=key,
    )


def read_token(variable: str, *, home: Path, env: Mapping[str, str]) -> str | None:
    """The token of an environment variable, or else of its file in `home`; None where there is neither."""
    path, where = home / FILES[variable], variable
    token = env.get(variable)
    if token is None:
        try:
            mode, token, where = path.stat().st_mode, path.read_text().strip(), str(path)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise EndpointError(f"the token in {path} cannot be read: {error}") from None
        if mode & 0o077:
            raise EndpointError(f"others can read the token in {path}", hint=f"chmod 600 {path}, and take a new token")
    if not _TOKEN.fullmatch(token):
        raise EndpointError(
            f"the token in {where} cannot be used: {len(token)} characters, where 16 to 512 of A-Z a-z 0-9 . _ ~ + / = - are needed",
            hint="make one: openssl rand -hex 32",
        )
    return token


def read_tls(files: TlsFiles, *, root: Path, now: dt.datetime) -> tuple[str, str]:
    """Certificate chain and private key as PEM, once they are a pair that is valid `now` (aware)."""
    paths = (root / files.certificate, root / files.key)
    for name, path in zip(("certificate", "key"), paths, strict=True):
        if not path.is_file():
            raise EndpointError(f"rollout.tls.{name}: there is no file {path}")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*paths, password=lambda: "")
        texts = paths[0].read_text(), paths[1].read_text()
    except (OSError, ValueError) as error:
        raise EndpointError(
            f"rollout.tls: {paths[0]} and {paths[1]} are no certificate with its unencrypted private key: {_reason(error)}"
        ) from None
    _check_dates(paths[0], texts[0], now)
    return texts


def _reason(error: Exception) -> str:
    """What OpenSSL says, without its places in the source."""
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if isinstance(error, ssl.SSLError) and reason else str(error)


def _check_dates(path: Path, text: str, now: dt.datetime) -> None:
    from cryptography import x509

    first = x509.load_pem_x509_certificate(text.encode())
    if not first.not_valid_before_utc <= now < first.not_valid_after_utc:
        raise EndpointError(
            f"rollout.tls.certificate: {path} is valid from {first.not_valid_before_utc:%Y-%m-%d %H:%M} "
            f"to {first.not_valid_after_utc:%Y-%m-%d %H:%M} UTC, which is not now",
            hint="renew it, then: seatrial up",
        )


def numeric(host: str) -> str:
    """The address of a host; EndpointError where it has none."""
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise EndpointError(
            f"rollout.host {host!r} is no address of this machine: {error}", hint="change rollout.host in params.yaml"
        ) from None
