"""A model server on a free port of 127.0.0.1, as a process of its own."""

import contextlib
import socket
import subprocess
import sys

from seatrial.bundle import read_digest
from tests.bundles import make_bundle


@contextlib.contextmanager
def served(folder, *, name="leavers", version="3", options=()):
    """The port of a server with a small bundle, until the end of the block; it has to end well."""
    make_bundle(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    named = ["--bundle", str(folder), "--digest", read_digest(folder), "--version", version, "--name", name]
    command = [sys.executable, "-m", "seatrial.serving.server", *named, "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("ready")
        yield port
    finally:
        process.terminate()
        assert process.wait(20) == 0


def start_server(folder, *options, version="3", name="leavers"):
    """A server of the bundle at `folder`/model on the unix socket `folder`/s with its log in `folder`/log: the ready process."""
    bundle = folder / "model"
    if not bundle.exists():
        make_bundle(bundle)
    named = ["--bundle", str(bundle), "--digest", read_digest(bundle), "--version", version, "--name", name]
    command = [sys.executable, "-m", "seatrial.serving.server", *named, "--uds", str(folder / "s"), "--log", str(folder / "log"), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    if not line.startswith("ready"):
        process.kill()
        raise AssertionError(process.communicate()[1])
    return process


def stop_server(process):
    """End it in order; what it said on stderr."""
    process.terminate()
    said = process.communicate(timeout=20)[1]
    assert process.returncode == 0, said
    return said


def connected(path):
    """A connection to a server's unix socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(path))
    return connection
