"""A bundle's digest on its way between CI jobs: who makes a bundle says its digest, who is handed one refuses other bytes.

`train` and `gate` write the digest where the forge takes a job's outputs from: as `bundle` to GitHub's GITHUB_OUTPUT, and as
SEATRIAL_BUNDLE to reports/bundle.env, which GitLab takes as a dotenv report. The next job gives it to its sessions as the variable
SEATRIAL_BUNDLE, and `gate` and `deploy` hold what lies in artifacts/model against it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import RefusedError, UsageError
from seatrial.files import write_atomic

if TYPE_CHECKING:
    from seatrial.project import Project

NAME = "SEATRIAL_BUNDLE"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def refuse_other_bytes(env: Mapping[str, str], digest: str) -> None:
    """Raise RefusedError where SEATRIAL_BUNDLE is set and names another bundle than `digest`; without the variable, any will do.

    A variable that names no digest is a UsageError, an empty one too: the job before was to hand one over, and did not.
    """
    promised = env.get(NAME)
    if promised is None:
        return
    if not _DIGEST.fullmatch(promised):
        what = "is empty: the job before this one handed over no digest" if not promised else f"is {promised!r}, which is no digest"
        raise UsageError(f"{NAME} {what}", hint="it has to be sha256:<64 hex digits>, as that job's output `bundle`; or unset it")
    if digest != promised:
        raise RefusedError(
            f"the bundle in artifacts/model is {digest}, this job was handed {promised}",
            hint="these are other bytes than those of the job before: run that one again, and then this one",
        )


def hand_over(project: Project, digest: str) -> None:
    """Say the digest to the jobs that come after this one; where no forge listens, reports/bundle.env alone says it."""
    write_atomic(project.report("bundle.env"), f"{NAME}={digest}\n".encode())
    if output := project.env.get("GITHUB_OUTPUT"):
        with Path(output).open("a", encoding="utf-8") as stream:
            stream.write(f"bundle={digest}\n")
