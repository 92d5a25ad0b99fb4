"""The lock."""

import nox

from tasks.environment import LOCK, ROOT, find_uv


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Resolve every dependency anew into requirements.lock (`-- --upgrade` for newer ones)."""
    options = ["--universal", "--python-version", "3.11", "--all-extras", "--group", "dev", "--generate-hashes", "--no-header", "--quiet"]
    with session.chdir(ROOT):
        session.run(
            find_uv(session), "pip", "compile", "pyproject.toml", *options, *session.posargs, "--output-file", LOCK.name, external=True
        )
