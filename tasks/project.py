"""The project itself."""

import nox

from tasks.environment import run

SOURCES = ("src", "tasks", "tests", "benchmarks", "noxfile.py")
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")  # file by file, so that a file's servers start once


@nox.session(default=False)
def tests(session: nox.Session) -> None:
    """Run all tests two at a time, those that are `timed` after the others (`-- PATH` for some, one at a time)."""
    for options in [session.posargs] if session.posargs else [[*SIDE_BY_SIDE, "-m", which] for which in ("not timed", "timed")]:
        run(session, "python", "-m", "pytest", *options)


@nox.session(default=False)
def lint(session: nox.Session) -> None:
    """Check format, style and types, and the CI files for known weaknesses."""
    run(session, "ruff", "format", "--check", *SOURCES)
    run(session, "ruff", "check", "--no-cache", *SOURCES)  # a cache does not see that a module came to be
    run(session, "mypy")
    run(session, "zizmor", "--offline", "--no-progress", "--quiet", "--persona", "auditor", ".github/workflows")  # the strictest persona
    run(session, "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *_workflows())
    run(session, "check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", ".gitlab-ci.yml")


@nox.session(default=False)
def ci(session: nox.Session) -> None:
    """Run a forge's pipeline here, step by step, in clean clones (`-- train.yml`, `-- .gitlab-ci.yml`)."""
    run(session, "seatrial", "ci", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure one published figure beside its peer (`-- NAME`; without one, the list)."""
    name, *options = session.posargs or ["--help"]
    if options[:1] == ["--"]:  # as each benchmark's own words write it
        del options[0]
    run(session, "python", "-m", "benchmarks" if name == "--help" else f"benchmarks.{name}", *options)


def _workflows() -> list[str]:
    from tasks.environment import ROOT

    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / ".github/workflows").glob("*.yml"))
