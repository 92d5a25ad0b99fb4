"""`dvc repro` under guard, in a process of its own: one at a time, nothing outlives it, and its bytes are hashed afterwards.

`seatrial.pipeline` starts it as the leader of a process group. When the process that started it dies, the whole group dies: a
stage that went on alone would write into the outputs of the next one. DVC's library runs the stages, so that it is loaded once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.adapters.leash import die_with_parent
from seatrial.errors import BusyError, PipelineError, SeatrialError
from seatrial.files import locked
from seatrial.project import Project

if TYPE_CHECKING:
    from seatrial.adapters.data_repo import DataRepo

GUARD = ".dvc/tmp/seatrial.lock"
STAGE = "stage.lock"
REPORTED = 102


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stages; 0, or 102 once the reason was written to the file descriptor `--report`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--report", type=int, required=True)
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--single-item", action="store_true")
    parser.add_argument("target", nargs="?", default="dvc.yaml")
    options = parser.parse_args(argv)
    end_with(options.parent)
    try:
        project = Project.find(Path.cwd(), environment="local")
        with alone(project.root, project.home):
            _reproduce(project, options)
    except SeatrialError as error:
        told = {"message": error.message, "hint": error.hint, "busy": isinstance(error, BusyError)}
        os.write(options.report, json.dumps(told).encode())
        return REPORTED
    except KeyboardInterrupt:
        return 130
    return 0


def end_with(parent: int) -> None:
    """See to it that this process and its whole group are killed when `parent` is gone; exit 2 where it is gone already."""
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(os.getpgrp(), signal.SIGKILL))
    if sys.platform == "linux":
        die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(2)


@contextmanager
def alone(root: Path, home: Path) -> Iterator[None]:
    """Be the only one that trains here; BusyError, naming the other, where one is at it, or a stage of an earlier one still runs."""
    with ExitStack() as held:
        _take(held, root / GUARD, "another training of this project is under way")
        with ExitStack() as looked:
            _take(looked, home / STAGE, "a stage of this project still runs")
        (root / GUARD).write_text(f"{os.getpid()}\n")
        yield


def _take(stack: ExitStack, lock: Path, sentence: str) -> None:
    try:
        stack.enter_context(locked(lock, wait=False))
    except BlockingIOError:
        raise BusyError(f"{sentence}{_named(lock)}", hint="wait until it has ended, or stop it") from None


def _named(lock: Path) -> str:
    """Who holds a lock, as the file says."""
    number = lock.read_text().strip()
    return f" (process {number})" if number.isdigit() else ""


def _reproduce(project: Project, options: argparse.Namespace) -> None:
    from dvc.exceptions import DvcException
    from dvc.ui import ui

    from seatrial.adapters.data_repo import DataRepo
    from seatrial.reproduced import Start, check, mend_torn

    lock = project.root / Path(options.target).with_suffix(".lock")
    mend_torn(project.root, lock)
    ui.enable()
    repo = DataRepo(project.root)
    with repo.held():
        without = not options.force and _may_lack(project, repo)
        start = Start.now(project.root, lock)
        try:
            ran = repo.repo.reproduce(options.target, force=options.force, single_item=options.single_item, allow_missing=without)
        except DvcException as error:
            raise failed(error) from None
        if ran:
            repo.repo._reset()
        else:
            ui.write("Data and pipelines are up to date.")
        check(repo, options.target, start=start, ran=bool(ran))


def _may_lack(project: Project, repo: DataRepo) -> bool:
    """Whether something is not here that nothing needs, and nothing that is needed: `pull` leaves such things where they are."""
    from seatrial.remote import results

    absent = {output.path for output in repo.outputs() if not (project.root / output.path).exists()}
    if not absent or repo.remote_name is None:
        return False
    lacking = [output.path for output in repo.needed(results(project)) if output.path in absent]
    if lacking:
        print(f"made again, because it is not here: {', '.join(lacking)} (nox -s pull fetches it)", flush=True)
    return not lacking


def failed(error: Any) -> PipelineError:
    """What DVC raised, with its causes; what a stage said itself stands above it."""
    reasons = []
    cause: BaseException | None = error
    while cause is not None:
        reasons.append(str(cause).strip())
        cause = cause.__cause__
    return PipelineError(
        f"`dvc repro` failed: {': '.join(filter(None, reasons))}; what went wrong stands above",
        hint="mend it and run the same session again: what was done is kept, what failed is not",
    )


if __name__ == "__main__":
    sys.exit(main())
