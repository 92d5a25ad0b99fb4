"""Each trap of `dvc repro`, provoked for real: what DVC does by itself, and what the guard makes of it."""

import json
import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from seatrial import reproduced
from seatrial.adapters.data_repo import DataRepo
from seatrial.errors import BusyError, PipelineError
from seatrial.pipeline import reproduce
from tests.dvc_projects import begun, commit, dvc, git, make_project, wait_for

SEATRIAL = """\
from pathlib import Path
from seatrial.pipeline import reproduce
from seatrial.project import Project
reproduce(Project.find(Path.cwd()))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Trained once; each test leaves it trained."""
    made = make_project(tmp_path_factory.mktemp("guard") / "project", SHELL="/bin/false")
    reproduce(made)
    commit(made.root)
    return made


def start(project, *command):
    return subprocess.Popen([sys.executable, *command], cwd=project.root, env=dict(project.env), start_new_session=True)


def hold(project, text):
    """Another table, and a training of it that waits."""
    (project.root / "hold").touch()
    (project.root / "data/raw.csv").write_text(text)
    return len(begun(project))


def release(project):
    (project.root / "hold").unlink(missing_ok=True)


def runs(number):
    return psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE


def agrees(project):
    """Whether model and metrics are of the table that is here, and the lock says so."""
    size = len((project.root / "data/raw.csv").read_bytes()) * 500
    model = project.root / "artifacts/model/model.bin"
    return model.stat().st_size == size == json.loads((project.root / "metrics/evaluation.json").read_text())["size"]


def test_the_shell_of_whoever_runs_it_does_not_matter(project):
    assert project.env["SHELL"] == "/bin/false"
    assert agrees(project)


def test_killed_dvc_leaves_its_stage_which_no_second_one_joins_and_whose_outputs_stay(project):
    before = hold(project, "a,b\n1,3\n")
    killed = start(project, "-c", "import os; os.environ['SHELL'] = '/bin/sh'; from dvc.cli import main; main(['repro'])")
    (orphan,) = wait_for(lambda: begun(project)[before:])
    killed.kill()
    killed.wait()
    assert runs(orphan)
    with pytest.raises(BusyError, match=f"still runs .process {orphan}"):
        reproduce(project)
    assert begun(project)[before:] == [orphan]
    release(project)
    wait_for(lambda: not runs(orphan))
    reproduce(project)
    assert agrees(project)
    assert "up to date" in dvc(project, "status")


def test_killed_seatrial_takes_its_stage_along(project):
    before = hold(project, "a,b\n1,34\n")
    killed = start(project, "-c", SEATRIAL)
    (trainer,) = wait_for(lambda: begun(project)[before:])
    killed.kill()
    killed.wait()
    wait_for(lambda: not runs(trainer))
    release(project)
    reproduce(project)
    assert agrees(project)


def test_a_second_training_names_the_first_and_a_killed_dvc_is_an_error_that_leaves_no_stage(project):
    before = hold(project, "a,b\n1,345\n")
    caught = []

    def first():
        with pytest.raises(PipelineError, match="ended with -9") as error:
            reproduce(project)
        caught.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    (trainer,) = wait_for(lambda: begun(project)[before:])
    leader = os.getpgid(trainer)
    with pytest.raises(BusyError, match=f"under way .process {leader}"):
        reproduce(project)
    os.kill(leader, signal.SIGKILL)
    thread.join(30)
    assert caught
    wait_for(lambda: not runs(trainer), 5)
    release(project)
    reproduce(project)
    assert agrees(project)


def test_a_source_that_changes_while_its_stage_runs_is_refused_and_trained_again(project):
    before = hold(project, "a,b\n1,3456\n")
    lock = (project.root / "dvc.lock").read_bytes()
    caught = []

    def first():
        with pytest.raises(PipelineError, match=r"data/raw\.csv changed while a stage ran") as error:
            reproduce(project)
        caught.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    wait_for(lambda: begun(project)[before:])
    params = project.root / "params.yaml"
    params.write_text(params.read_text() + "# another word\n")  # nothing that a stage takes
    (project.root / "data/raw.csv").write_text("a,b\n1,34567\n")
    release(project)
    thread.join(60)
    assert caught
    assert (project.root / "dvc.lock").read_bytes() == lock
    reproduce(project)
    assert len(begun(project)) == before + 2
    assert agrees(project)


def test_a_changed_byte_that_dvc_does_not_see_is_found_and_what_is_said_mends_it(project):
    root = project.root
    model, known = root / "artifacts/model/model.bin", (root / "artifacts/model/model.bin").stat()
    lock = next(line for line in (root / "dvc.lock").read_text().splitlines() if ".dir" in line).split()[-1]
    entries = json.loads((root / f".dvc/cache/files/md5/{lock[:2]}/{lock[2:]}").read_text())
    digest = next(entry["md5"] for entry in entries if entry["relpath"] == "model.bin")
    cached = root / f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}"
    for path, mode in ((model, known.st_mode), (cached, 0o444)):
        path.chmod(0o644)
        with path.open("r+b") as stream:
            stream.write(b"z")
        path.chmod(mode)
    os.utime(model, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert "up to date" in dvc(project, "status")
    with pytest.raises(PipelineError, match=r"artifacts/model: object .* is corrupt in the project's folder") as error:
        reproduce(project)
    command = error.value.hint.split(": ")[1].split(";")[0]
    assert command == f"rm -rf artifacts/model {cached.relative_to(root)}"
    subprocess.run(command.split(), cwd=root, check=True)
    reproduce(project)
    assert agrees(project)
    assert "up to date" in dvc(project, "status")


def test_of_large_outputs_a_file_whose_time_was_set_back_is_read_again(project, monkeypatch):
    monkeypatch.setattr(reproduced, "ALWAYS_BYTES", 0)
    repo = DataRepo(project.root)
    model = project.root / "artifacts/model/model.bin"
    whole, known = model.read_bytes(), model.stat()
    with repo.held():
        items = reproduced.recorded(repo, repo.stages())
        assert {"artifacts/model", "metrics/evaluation.json", "data/raw.csv", "train.py"} <= {item.path for item in items}
        assert reproduced.faults_of(repo, items) == ()
        model.chmod(0o644)
        model.write_bytes(b"z" + whole[1:])
        os.utime(model, ns=(known.st_atime_ns, known.st_mtime_ns))
        assert [fault.stored.name for fault in reproduced.faults_of(repo, items)] == ["artifacts/model"]
        model.write_bytes(whole)
        assert reproduced.faults_of(repo, items) == ()


def test_a_failing_stage_is_named_keeps_the_lock_and_shows_git_no_output(project):
    root = project.root
    commit(root)
    (root / "fail").touch()
    (root / "data/raw.csv").write_text("a,b\n1,345678\n")
    lock = (root / "dvc.lock").read_bytes()
    with pytest.raises(PipelineError, match=r"failed to reproduce 'train'.*exited with 1"):
        reproduce(project)
    assert (root / "dvc.lock").read_bytes() == lock
    assert git(root, "status", "--short").split() == ["M", "data/raw.csv"]  # DVC takes its own .gitignore lines back out
    (root / "fail").unlink()
    reproduce(project)
    assert agrees(project)


def test_what_a_killed_dvc_left_half_written_is_put_back(project):
    root = project.root
    whole = (root / "dvc.lock").read_bytes()
    reproduce(project)  # has seen it whole
    for run in (root / ".dvc/cache/runs").glob("*/*/*"):
        run.unlink()
    (root / "dvc.lock").write_bytes(whole[: len(whole) // 2].rsplit(b":", 1)[0])
    (root / ".dvc/tmp/rwlock").write_text('{"write": {"/x')
    dvc(project, "repro", expect=255)
    reproduce(project)
    assert (root / "dvc.lock").read_bytes() == whole
    (root / "dvc.lock").write_bytes(b"")
    with subprocess.Popen([sys.executable, "-c", "input()", "seatrial/dvc-data"], stdin=subprocess.PIPE) as other:
        note = {"pid": other.pid, "cmd": "dvc repro"}  # the number of a killed DVC, now that of another program
        (root / ".dvc/tmp/rwlock").write_text(json.dumps({"write": {str(root / "artifacts/model"): note}}))
        reproduce(project)
        other.kill()
    assert (root / "dvc.lock").read_bytes() == whole
