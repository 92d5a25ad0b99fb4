"""A model server on a free port of 127.0.0.1, as a process of its own."""

import contextlib
import socket
import subprocess
import sys

from seatrial.bundle import read_digest
from tests.bundles import make_bundle


@contextlib.contextmanager
def served(folder, *, name="leavers", version="3"):
    """The port of a server with a small bundle, until the end of the block; it has to end well."""
    make_bundle(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    named = ["--bundle", str(folder), "--digest", read_digest(folder), "--version", version, "--name", name]
    command = [sys.executable, "-m", "seatrial.serving.server", *named, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("ready")
        yield port
    finally:
        process.terminate()
        assert process.wait(20) == 0
