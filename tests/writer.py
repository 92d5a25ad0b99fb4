"""One of several writers to one registry: registers bundles and promotes them, and prints what it believes it did.

python -m tests.writer FOLDER WRITER COUNT
"""

import json
import sys
from pathlib import Path

from seatrial.adapters import registry, tracking
from seatrial.errors import RegistryError
from seatrial.project import Project
from tests.bundles import make_bundle


def main():
    folder, writer, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    project = Project.find(folder, env={})
    registered, promoted = [], []
    for turn in range(count):
        number = writer * 1000 + turn
        bundle = make_bundle(folder / f"bundles/{number}", bias=number / 1e4)
        run_id, _ = tracking.log_run(project, bundle, {"roc_auc": 0.8})
        try:
            version = registry.register_version(project, bundle, run_id=run_id, gate=f"sha256:{number:064}", verdict="{}", tags={}).version
        except RegistryError:  # another writer's version is challenger by now; this one is registered all the same
            version = registry.find_version(project, bundle.digest).version
        registered.append([version, bundle.digest])
        champion = registry.read_alias(project, "champion")
        before = champion.version if champion else None
        try:
            registry.move_aliases(project, expected={"champion": before}, to={"champion": version})
        except RegistryError:
            continue
        promoted.append([before, version])
    print(json.dumps({"registered": registered, "promoted": promoted}))


if __name__ == "__main__":
    main()
