"""A model server that misbehaves once a file exists: Seatrial's own one with a fault around it, for drills.

    python -m seatrial.drill.server --fault nan --when FILE (and the options of seatrial.serving.server)

The shipped server has no such switch: this program wraps its application, and is started by drills alone.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import cast

import msgspec

from seatrial.serving import server
from seatrial.serving.app import Application
from seatrial.serving.exchange import Receive, Scope, Send
from seatrial.serving.runtime import Blocks, Probabilities, Runtime

FAULTS = ("none", "slow", "5xx", "nan", "swapped", "constant", "digest")
SLOW_S = 0.8
OTHER_DIGEST = "sha256:" + "0" * 64
QUIET = ("/ping", "/version")


class Lying(Runtime):
    """A bundle's runtime that answers otherwise while the file is there; `digest` is wrong from the start."""

    def __init__(self, inner: Runtime, fault: str, when: Path) -> None:
        self.bundle = inner.bundle if fault != "digest" else msgspec.structs.replace(inner.bundle, digest=OTHER_DIGEST)
        self.codes = inner.codes
        self._inner, self._fault, self._when = inner, fault, when

    def score(self, blocks: Blocks) -> Probabilities:
        """The answers, or what the fault makes of them."""
        found = self._inner.score(blocks)
        if not self._when.exists():
            return found
        match self._fault:
            case "nan":
                return found * float("nan")
            case "swapped":
                return 1 - found
            case "constant":
                return found * 0 + 0.5
        return found


class Faulty(Application):
    """The shipped application, slow or failing while the file is there."""

    fault = "none"
    when = Path()

    def takes(self, scope: Scope) -> bool:
        """None of the short way, where nobody can wait, while the file is there."""
        return not (self.fault in ("slow", "5xx") and self.when.exists()) and super().takes(scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, late or with an error where the fault says so."""
        on = scope["path"] not in QUIET and self.when.exists()
        if on and self.fault == "slow":
            await asyncio.sleep(SLOW_S)
        if on and self.fault == "5xx":
            headers = [*self.identity, (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 500, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await super().__call__(scope, receive, send)


def main(argv: list[str] | None = None) -> int:
    """Serve as the shipped server does, with a fault."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--fault", choices=FAULTS, required=True)
    parser.add_argument("--when", type=Path, required=True)
    options, rest = parser.parse_known_args(argv)
    Faulty.fault, Faulty.when = options.fault, options.when

    def application(runtime: Runtime) -> type[Application]:
        return cast(type[Application], lambda inner, **names: Faulty(Lying(inner, options.fault, options.when), **names))

    server._application = application
    return server.main(rest)


if __name__ == "__main__":
    sys.exit(main())
