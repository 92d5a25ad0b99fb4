"""Many writers on one registry at once, and what must hold of it afterwards."""

import json
import subprocess
import sys
from pathlib import Path

from seatrial.adapters.registry import find_version, read_alias
from seatrial.project import Project

ROOT = Path(__file__).parents[1]


def run_writers(folder, writers, each):
    """What each of the writers, all at work at the same time, says that it did."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    command = [sys.executable, "-m", "tests.writer", str(folder)]
    started = [
        subprocess.Popen([*command, str(writer), str(each)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for writer in range(1, writers + 1)
    ]
    answers = []
    for process in started:
        out, err = process.communicate()
        assert process.returncode == 0, err[-3000:]
        answers.append(json.loads(out.splitlines()[-1]))
    return answers


def problems(folder, answers):
    """What is wrong with the registry: a registration that is lost or doubled, a champion that nobody made."""
    project = Project.find(folder, env={})
    registered = [(version, digest) for answer in answers for version, digest in answer["registered"]]
    found = [f"version {version} lost its bundle" for version, digest in registered if find_version(project, digest).version != version]
    if sorted(version for version, _ in registered) != list(range(1, len(registered) + 1)):
        found.append("versions are missing or stand for two bundles")
    moves = {before: after for answer in answers for before, after in answer["promoted"]}
    if len(moves) != sum(len(answer["promoted"]) for answer in answers):
        found.append("two promotions replaced the same champion")
    champion, seen = None, 0
    while champion in moves:
        champion, seen = moves[champion], seen + 1
    if seen != len(moves) or read_alias(project, "champion").version != champion:
        found.append("the champion is not the last of the promotions")
    return found
