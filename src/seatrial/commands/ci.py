"""Run a pipeline of the forge on this machine: its jobs step by step, in clean clones of HEAD.

    nox -s ci                                             # which pipelines there are
    nox -s ci -- train.yml                                # .github/workflows/train.yml, for the first event that it waits for
    nox -s ci -- .gitlab-ci.yml --event schedule
    nox -s ci -- deploy.yml --ephemeral --var SEATRIAL_SERVING_HOST='["here"]'

What acts on the world stays out, and is said: jobs of an environment and jobs that may write at the forge run only with --allow NAME;
--ephemeral runs those of an environment as a rehearsal, on an endpoint and a registry that end with it. With --state FOLDER their state is
left there, so that monitor.yml has something to look at after train.yml. Artifacts and job summaries are left in SEATRIAL_HOME/ci.
The exit code is that of the first step that failed; 0 where all that ran passed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import BusyError, UsageError
from seatrial.files import locked, shown_path
from seatrial.project import Project

if TYPE_CHECKING:
    from seatrial.ci.pipeline import Pipeline
    from seatrial.ci.run import Done
    from seatrial.ci.source import Source

GITLAB = ".gitlab-ci.yml"
WORKFLOWS = ".github/workflows"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("file", nargs="?", metavar="FILE", help=f"a workflow in {WORKFLOWS}, or {GITLAB}; without one, they are listed")
    parser.add_argument("--job", action="append", default=[], metavar="NAME", help="only this job, and those that it needs")
    parser.add_argument("--event", default="", help="what happened: pull_request, push, schedule, … (default: the first that fits)")
    parser.add_argument("--allow", action="append", default=[], metavar="NAME", help="an environment, a right to write, or a manual job")
    parser.add_argument("--ephemeral", action="store_true", help="rehearse the jobs of environments; no shared registry is touched")
    parser.add_argument("--state", metavar="FOLDER", help="with --ephemeral: leave the rehearsal's state there, for the next one")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="a variable of the repository")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=VALUE", help="an input of a workflow started by hand")
    parser.add_argument("--keep", action="store_true", help="leave the clones, to look into them")


def run(project: Project, options: argparse.Namespace) -> int:
    """Run the pipeline and say how it ended."""
    from seatrial.ci.source import describe
    from seatrial.merge_base import git
    from seatrial.tools import who

    root = Path(git(project.root, "rev-parse", "--show-toplevel") or project.root)
    if options.file is None:
        print("\n".join(["ci: there are these pipelines; name one:", *(f"  {name}" for name in _known(root))]))
        return 0
    if options.state and not options.ephemeral:
        raise UsageError("--state goes with --ephemeral", hint="what is no rehearsal has the SEATRIAL_HOME of its variables")
    variables, inputs = _pairs(options.var, "--var"), _pairs(options.input, "--input")
    source = describe(root, actor=who(), event=options.event, variables=variables, inputs=inputs)
    pipeline = read(root, options.file, source)
    try:
        with locked(project.home / "ci" / f"{_stem(pipeline)}.lock", wait=False):
            return _run(project, root, pipeline, source, options)
    except BlockingIOError:
        raise BusyError(f"{pipeline.path} is being run here already", hint="wait for it, or end it") from None


def read(root: Path, name: str, source: Source) -> Pipeline:
    """The pipeline of a file as it is in HEAD, by its name or its path; UsageError where there is none."""
    from seatrial.ci.github import read_workflow
    from seatrial.ci.gitlab import read_gitlab
    from seatrial.ci.source import committed_yaml
    from seatrial.located import nearest

    if Path(name).name == GITLAB:
        return read_gitlab(GITLAB, committed_yaml(root, GITLAB), source)
    known = [one for one in _known(root) if one != GITLAB]
    if Path(name).name not in known:
        raise UsageError(f"there is no pipeline {name!r}{nearest(name, known)}", hint=f"there are: {', '.join(_known(root)) or 'none'}")
    path = f"{WORKFLOWS}/{Path(name).name}"
    return read_workflow(path, committed_yaml(root, path), source)


def with_needs(pipeline: Pipeline, names: Sequence[str]) -> frozenset[str]:
    """The jobs of these names and all that they need; UsageError where there is none of a name."""
    needs = {job.id: job.needs for job in pipeline.jobs}
    wanted, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name not in needs:
            raise UsageError(f"{pipeline.path} has no job {name!r}", hint=f"jobs: {', '.join(needs)}")
        wanted.add(name)
        waiting += [need for need in needs[name] if need not in wanted]
    return frozenset(wanted)


def _known(root: Path) -> list[str]:
    found = sorted(path.name for path in (root / WORKFLOWS).glob("*.y*ml"))
    return [*found, *([GITLAB] if (root / GITLAB).is_file() else [])]


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise UsageError(f"{option} {text!r} is no NAME=VALUE")
    return dict(text.split("=", 1) for text in texts)


def _stem(pipeline: Pipeline) -> str:
    return Path(pipeline.path).name.removesuffix(".yml").removesuffix(".yaml").strip(".")


def _run(project: Project, root: Path, pipeline: Pipeline, source: Source, options: argparse.Namespace) -> int:
    from seatrial.ci.choice import Allowed
    from seatrial.ci.run import Setting, run_pipeline
    from seatrial.ci.source import uncommitted

    changed = uncommitted(root)
    if changed:
        shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        print(f"ci: not committed, so not in the clones: {shown}")
    print(f"ci: {pipeline.path} at {source.head[:10]} for the event {pipeline.event}", flush=True)
    setting = Setting(
        root=root,
        commit=source.head,
        folder=project.home / "ci" / _stem(pipeline),
        caches=project.home / "ci" / "caches",
        environ=project.env,
        allowed=Allowed(names=frozenset(options.allow), ephemeral=options.ephemeral, only=with_needs(pipeline, options.job)),
        keep=options.keep,
        state=Path(options.state).resolve() if options.state else None,
    )
    return _told(pipeline, run_pipeline(pipeline, setting, lambda text: print(f"ci: {text}", flush=True)), setting.folder)


def _told(pipeline: Pipeline, jobs: Sequence[Done], folder: Path) -> int:
    """Print how the jobs ended, and give the exit code."""
    failed = next((job for job in jobs if job.result == "failure"), None)
    ran = [job for job in jobs if job.result != "skipped"]
    words = f"{len(ran)} of {len(jobs)} jobs ran, {sum(job.steps for job in ran)} steps, {sum(job.seconds for job in ran):.0f} s"
    outcome = f"fail ({failed.job})" if failed else "pass" if ran else "nothing ran"
    print(f"ci: {outcome} · {pipeline.path} · {words} · {shown_path(folder)}")
    return failed.exit_code if failed else 0
