"""The project itself."""

import nox

from tasks.environment import run

SOURCES = ("src", "tasks", "tests", "benchmarks", "noxfile.py")


@nox.session(default=False)
def tests(session: nox.Session) -> None:
    """Run all tests: units, adapters against the real thing, whole pipelines, the fences of the house."""
    run(session, "python", "-m", "pytest", *session.posargs)


@nox.session(default=False)
def lint(session: nox.Session) -> None:
    """Check format, style and types, and the CI files for known weaknesses."""
    run(session, "ruff", "format", "--check", *SOURCES)
    run(session, "ruff", "check", "--no-cache", *SOURCES)  # a cache does not see that a module came to be
    run(session, "mypy")
    run(session, "zizmor", "--offline", "--no-progress", "--quiet", ".github/workflows")
    run(session, "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *_workflows())


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure one published figure beside its peer (`-- NAME`; without one, the list)."""
    name, *options = session.posargs or ["--help"]
    run(session, "python", "-m", "benchmarks" if name == "--help" else f"benchmarks.{name}", *options)


def _workflows() -> list[str]:
    from tasks.environment import ROOT

    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / ".github/workflows").glob("*.yml"))
