"""Moves weights between two versions of a project's live endpoint, as `benchmarks.rollout` asks for under load."""

import sys
from pathlib import Path

from seatrial.adapters.endpoint import LocalEndpoint, Route, Variant
from seatrial.adapters.registry import read_alias
from seatrial.bundle import read_digest
from seatrial.project import Project

project = Project.find(Path.cwd())
champion = read_alias(project, "champion")
if champion is None:
    raise SystemExit("there is no champion")
store = project.home / "store"
other = read_digest(project.bundle)
variants = tuple(
    Variant(version=version, digest=digest, bundle=store / digest.removeprefix("sha256:"))
    for version, digest in ((champion.version, champion.digest), (champion.version + 1, other))
)
endpoint = LocalEndpoint(project.home, project.settings.rollout)
endpoint.ensure(variants)
for move in range(int(sys.argv[1])):
    endpoint.route(Route(champion=champion.version, challenger=champion.version + 1, weight=5 * (move % 19 + 1)))
endpoint.route(Route(champion=champion.version))
endpoint.ensure(variants[:1])
