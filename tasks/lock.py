"""The locks: of everything that is used here, and of what the endpoint's image holds."""

import nox

from tasks.environment import LOCK, ROOT, find_uv

COMMON = ("--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--quiet")
ENDPOINT = "packaging/endpoint.lock"
EXTRAS = ("serve", "endpoint", "mlflow", "notify")


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Resolve every dependency anew into requirements.lock (`-- --upgrade` for newer ones), and the image's from those."""
    extras = [part for extra in EXTRAS for part in ("--extra", extra)]
    everything = ("--all-extras", "--group", "dev", *session.posargs, "--output-file", LOCK.name)
    image = (*extras, "--no-annotate", "--constraint", LOCK.name, "--output-file", ENDPOINT)
    with session.chdir(ROOT):
        for wanted in (everything, image):
            session.run(find_uv(session), "pip", "compile", "pyproject.toml", *COMMON, *wanted, external=True)
