"""Check a bundle's model in a process of its own, so that what the check needs is gone from memory once it is done.

The libraries that take an ONNX file apart hold 12 MB as long as their process lives, and a server needs them once. The other
process is a copy of this one, made before this one has threads of its own: it has everything else loaded already.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from seatrial.bundle import Bundle
from seatrial.errors import BundleError
from seatrial.serving.runtime import check_model

REFUSED = 2
CHECK_SECONDS = 60


def check_elsewhere(bundle: Bundle) -> bytes:
    """The model as ONNX Runtime gets it; BundleError for one that may not come before it, or is not checked within CHECK_SECONDS."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _check(bundle, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        return said
    words = said.decode(errors="replace")
    if code == REFUSED:
        raise BundleError(words)
    raise BundleError(f"the process that checks the model ended with {code}{words and f': {words[:300]}'}")


def _check(bundle: Bundle, writing: int) -> None:
    """Write down the model or why it is refused, and end this process, whatever happens, before it returns to its parent's work."""
    code = 1
    with suppress(BaseException), os.fdopen(writing, "wb") as answer:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(CHECK_SECONDS)
        try:
            answer.write(check_model(bundle))
            code = 0
        except BundleError as error:
            answer.write(str(error).encode())
            code = REFUSED
        except BaseException as error:
            answer.write(repr(error).encode())
            raise
    os._exit(code)
