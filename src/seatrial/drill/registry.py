"""A registry in one JSON file: what the controller asks of MLflow, without its seconds of start, and with a switch to be down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.adapters.registry import RegisteredVersion
from seatrial.bundle import load_bundle
from seatrial.errors import RegistryError
from seatrial.files import locked, pretty_json, write_atomic
from seatrial.invariants import Moved
from seatrial.store import folder_of, open_stored

if TYPE_CHECKING:
    from seatrial.project import Project

EMPTY: dict[str, Any] = {"versions": [], "aliases": {}, "ledger": [], "moves": []}


class FileRegistry:
    """Versions, aliases, ledger and every move of an alias, in `<folder>/registry.json`; bundles lie in `<folder>/bundles/<number>`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "registry.json"
        self.bundles = folder / "bundles"
        self.down = folder / "registry.down"

    def add(self, digest: str, gate: str) -> RegisteredVersion:
        """Register a bundle under its gate's verdict; `challenger` points at it."""

        def change(found: dict[str, Any]) -> None:
            number = len(found["versions"]) + 1
            found["versions"].append({"version": number, "digest": digest, "gate": gate, "source": "drill", "run_id": "drill"})
            found["aliases"]["challenger"] = number

        return RegisteredVersion(**self._change(change)["versions"][-1])

    def read_alias(self, project: Project, alias: str) -> RegisteredVersion | None:
        """The version that an alias points at."""
        found = self._read()
        return self._version(found, found["aliases"].get(alias))

    def find_version(self, project: Project, digest: str) -> RegisteredVersion | None:
        """The newest version of a bundle."""
        return next((RegisteredVersion(**one) for one in reversed(self._read()["versions"]) if one["digest"] == digest), None)

    def move_aliases(self, project: Project, *, expected: Mapping[str, int | None], to: Mapping[str, int | None]) -> None:
        """Move aliases from the expected holders; RegistryError where somebody else moved one."""

        def change(found: dict[str, Any]) -> None:
            for alias, version in expected.items():
                if found["aliases"].get(alias) != version:
                    raise RegistryError(f"alias {alias!r} is held by version {found['aliases'].get(alias)}, expected {version}")
            for alias, version in to.items():
                found["aliases"][alias] = version
                found["moves"].append({"alias": alias, "version": version, "time": time.time()})
            found["aliases"] = {alias: version for alias, version in found["aliases"].items() if version is not None}

        self._change(change)

    def record_rollout(self, project: Project, *, record: Mapping[str, Any]) -> None:
        """Append to the ledger."""
        self._change(lambda found: found["ledger"].append(dict(record)))

    def fetch_bundle(self, project: Project, version: RegisteredVersion, store: Path) -> Path:
        """The folder of a version's bundle in the content store, its bytes checked."""
        self._read()
        source = self.bundles / str(version.version)
        open_stored(version.digest, store, source=lambda: load_bundle(source, expected=version.digest), report=lambda words: None)
        return folder_of(version.digest, store)

    def holder(self, alias: str) -> int | None:
        """Who holds an alias, also while the registry is down."""
        found = self._stored()["aliases"].get(alias)
        return None if found is None else int(found)

    def moves(self) -> list[Moved]:
        """Every move of an alias so far."""
        found = self._stored()
        made = ((move, self._version(found, move["version"])) for move in found["moves"])
        return [Moved(**move, digest=version.digest if version else "", gate=version.gate if version else "") for move, version in made]

    def _version(self, found: Mapping[str, Any], number: int | None) -> RegisteredVersion | None:
        return next((RegisteredVersion(**one) for one in found["versions"] if one["version"] == number), None)

    def _read(self) -> dict[str, Any]:
        if self.down.exists():
            raise RegistryError("the registry does not answer", hint="this is a drill")
        return self._stored()

    def _stored(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_bytes() if self.path.exists() else json.dumps(EMPTY))
        return found

    def _change(self, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        with locked(self.path.with_name("registry.lock")):
            found = self._read()
            change(found)
            write_atomic(self.path, pretty_json(found))
        return found
