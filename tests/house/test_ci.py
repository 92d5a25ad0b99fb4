"""CI runs sessions and nothing else: each step that runs something installs nox, or is one session that exists."""

import ast
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
INSTALL = re.compile(r'pip install "nox\[uv\]==[0-9.]+"')
SESSION = re.compile(r'nox -s ([a-z]+)( -- [-\w=./" $]+)?')
PINNED = re.compile(r"[\w-]+/[\w/-]+@[0-9a-f]{40}")


def sessions(folder):
    """The names of the sessions that the files of `folder` define."""
    for path in sorted(folder.glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and any("nox.session" in ast.unparse(line) for line in node.decorator_list):
                yield node.name


def steps(folder):
    """Each step of the workflows of `folder`, with the file's name."""
    for path in sorted(folder.glob("*.y*ml")):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            yield from ((path.name, step) for step in job["steps"])


def lines(path):
    """Each line that a job of a .gitlab-ci.yml runs, those of hidden jobs and of `default` too."""
    for body in yaml.safe_load(path.read_text()).values():
        if isinstance(body, dict):
            for key in ("before_script", "script", "after_script"):
                yield from [body[key]] if isinstance(body.get(key), str) else body.get(key, [])


def strange(command, known):
    """Whether a command is something else than the installation of nox or one session of `known`."""
    match = SESSION.fullmatch(command.strip())
    return not INSTALL.fullmatch(command.strip()) and not (match and match.group(1) in known)


def strange_steps(folder, known):
    """Each step that runs something else than the installation of nox or one session of `known`."""
    commands = [(name, step["run"].strip()) for name, step in steps(folder) if "run" in step]
    return [f"{name}: {command}" for name, command in commands if strange(command, known)]


def unpinned(folder):
    """Each action that is not named by a whole commit."""
    return [f"{name}: {step['uses']}" for name, step in steps(folder) if "uses" in step and not PINNED.fullmatch(step["uses"])]


WORKFLOWS = ROOT / ".github/workflows"
GITLAB = ROOT / ".gitlab-ci.yml"


def jobs():
    """Each job of the workflows, by file and id."""
    for path in sorted(WORKFLOWS.glob("*.yml")):
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield f"{path.name}: {name}", job


def test_each_step_installs_nox_or_is_one_session_that_exists():
    assert strange_steps(WORKFLOWS, set(sessions(ROOT / "tasks"))) == []


def test_each_line_of_gitlab_installs_nox_or_is_one_session_that_exists():
    known = set(sessions(ROOT / "tasks"))
    assert [line for line in lines(GITLAB) if strange(line, known)] == []
    assert len(list(lines(GITLAB))) > 10


def test_a_job_that_takes_a_bundle_from_another_is_held_to_its_digest():
    takers = [
        (name, job) for name, job in jobs() if any(step.get("with", {}).get("name") == "gated" for step in job["steps"]) and "needs" in job
    ]
    assert [name for name, _ in takers] == ["deploy.yml: deploy"]
    assert all(job["env"]["SEATRIAL_BUNDLE"] == "${{ needs.gate.outputs.bundle }}" for _, job in takers)
    gitlab = yaml.safe_load(GITLAB.read_text())
    assert gitlab["deploy"]["variables"]["SEATRIAL_BUNDLE"] == ""  # so that a missing handover is no permission
    assert gitlab["gate"]["artifacts"]["reports"]["dotenv"] == "reports/bundle.env"


def test_a_job_on_a_machine_of_ours_stands_behind_an_environment():
    hosted = [(name, job) for name, job in jobs() if "SEATRIAL_SERVING_HOST" in job["runs-on"]]
    assert {name for name, _ in hosted} == {"deploy.yml: deploy", "monitor.yml: monitor", "retrain.yml: decide", "retrain.yml: run"}
    assert all(job["environment"] in ("production", "monitoring") for _, job in hosted)


def test_a_warning_is_only_silenced_about_a_machine_of_ours():
    silenced = [line for path in WORKFLOWS.glob("*.yml") for line in path.read_text().splitlines() if "zizmor: ignore" in line]
    assert silenced
    for line in silenced:
        assert re.search(r"runs-on: .*self-hosted.* # zizmor: ignore\[self-hosted-runner\] \w+", line)


def test_an_identity_is_asked_for_only_where_a_role_is_taken():
    for name, job in jobs():
        takes = any("configure-aws-credentials" in step.get("uses", "") for step in job["steps"])
        assert (job["permissions"].get("id-token") == "write") is takes, name


def test_every_workflow_says_what_happens_to_two_runs_at_once():
    assert all("concurrency" in yaml.safe_load(path.read_text()) for path in WORKFLOWS.glob("*.yml"))


def test_every_action_is_pinned_by_its_commit():
    assert unpinned(WORKFLOWS) == []


def test_the_installed_nox_is_the_one_of_the_lock():
    locked = re.search(r"^nox==([0-9.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    wanted = {step["run"] for _, step in steps(WORKFLOWS) if "pip install" in step.get("run", "")}
    wanted |= {line for line in lines(GITLAB) if "pip install" in line}
    assert locked is not None
    assert wanted == {f'pip install "nox[uv]=={locked.group(1)}"'}


def test_no_workflow_has_a_right_that_a_job_did_not_ask_for():
    files = sorted(WORKFLOWS.glob("*.yml"))
    assert files
    for path in files:
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {}, path.name
        assert all("permissions" in job and "timeout-minutes" in job for job in workflow["jobs"].values()), path.name


def test_every_session_can_be_read_in_a_list():
    for path in sorted((ROOT / "tasks").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and any("nox.session" in ast.unparse(line) for line in node.decorator_list):
                docstring = ast.get_docstring(node) or ""
                assert docstring.endswith("."), node.name
                assert "\n" not in docstring, node.name


def test_the_fences_see_what_they_forbid(tmp_path):
    runs = [
        "make all",
        "nox -s train gate",
        "nox -s train && curl x",
        "nox -s nosuch",
        "nox -s train -- $(id)",
        "nox -s train\nid",
        "nox -s train -- a; id",
    ]
    bad = [{"run": command} for command in runs]
    good = [{"run": 'pip install "nox[uv]==1.2"'}, {"run": "nox -s train"}, {"run": 'nox -s train -- --file="$FILE"'}]
    workflow = {"jobs": {"job": {"steps": [*bad, *good, {"uses": "actions/checkout@v5"}, {"uses": "actions/checkout@" + "0" * 40}]}}}
    (tmp_path / "bad.yml").write_text(yaml.safe_dump(workflow))
    assert strange_steps(tmp_path, {"train", "gate"}) == [f"bad.yml: {command}" for command in runs]
    assert unpinned(tmp_path) == ["bad.yml: actions/checkout@v5"]
    (tmp_path / "gitlab").write_text(yaml.safe_dump({"default": {"before_script": ["make"]}, "a": {"script": "nox -s train gate"}}))
    assert sorted(line for line in lines(tmp_path / "gitlab") if strange(line, {"train", "gate"})) == ["make", "nox -s train gate"]
