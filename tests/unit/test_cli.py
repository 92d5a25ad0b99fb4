"""The command line: exit codes, and one clear message instead of a traceback."""

import importlib

import pytest

from seatrial import __version__, cli
from seatrial.cli import COMMANDS, main
from seatrial.errors import PipelineError, RefusedError

SMALL = "model: {name: m}\ndata: {raw: t.csv, target: bought}\n"


def call(*argv):
    with pytest.raises(SystemExit) as ended:
        main(list(argv))
    return ended.value.code


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEATRIAL_ENV", raising=False)
    return tmp_path


def replace(monkeypatch, act):
    """Let `seatrial diff` do something else."""
    monkeypatch.setattr(importlib.import_module("seatrial.commands.diff"), "run", act)


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(argv, capsys):
    assert call(*argv) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown and sentence in shown for name, sentence in COMMANDS.items())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_its_own(command, project, capsys):
    assert call(command, "--help") == 0
    shown = capsys.readouterr().out
    assert f"usage: seatrial {command}" in shown
    assert "--env" in shown


def test_the_version_is_told(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out.strip() == __version__


def test_a_command_with_a_typo_is_refused_with_the_nearest_one(capsys):
    assert call("depoly") == 2
    assert "there is no command 'depoly'; did you mean 'deploy'?" in capsys.readouterr().err


def test_an_unknown_option_exits_2(project, capsys):
    assert call("diff", "--bose", "x") == 2
    assert "--bose" in capsys.readouterr().err


def test_outside_a_project_the_message_says_so(monkeypatch, capsys):
    monkeypatch.chdir("/")
    assert call("diff") == 2
    assert "no params.yaml" in capsys.readouterr().err


def test_an_environment_that_does_not_exist_exits_2(project, capsys, monkeypatch):
    replace(monkeypatch, lambda project, _: project.settings and 0)
    assert call("diff", "--env", "prod") == 2
    assert "no environment 'prod'" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_a_command_s_answer_is_the_exit_code(project, monkeypatch, code):
    replace(monkeypatch, lambda *_: code)
    assert call("diff") == code


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PipelineError("no git", hint="git init"), 2, "error: no git\n  → git init\n"),
        (RefusedError("not gated", hint="gate again"), 1, "refused: not gated\n  → gate again\n"),
        (KeyboardInterrupt(), 130, "interrupted; the same command goes on from here\n"),
    ],
)
def test_an_exception_on_purpose_is_one_message(project, monkeypatch, capsys, error, code, words):
    def act(*_):
        raise error

    replace(monkeypatch, act)
    assert call("diff") == code
    assert capsys.readouterr().err == words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("of ours"), ["Traceback", "of ours", "defect of Seatrial"]),
        (OSError(28, "No space left on device", "metrics/gate.json"), ["error: metrics/gate.json: No space left on device"]),
        (ModuleNotFoundError("no", name="evidently"), ["needs the package 'evidently'", "seatrial[all]"]),
    ],
)
def test_what_is_no_verdict_exits_2_and_never_1(project, monkeypatch, capsys, error, words):
    def act(*_):
        raise error

    replace(monkeypatch, act)
    with pytest.raises(SystemExit) as left:
        main(["diff"])
    shown = capsys.readouterr().err
    assert left.value.code == 2
    assert all(word in shown for word in words)
    assert ("Traceback" in shown) == isinstance(error, ZeroDivisionError)


def test_the_environment_and_shared_reach_the_command(project, monkeypatch):
    seen = []
    replace(monkeypatch, lambda project, _: seen.append((project.environment, project.shared)) or 0)
    monkeypatch.setenv("SEATRIAL_ENV", "staging")
    call("diff")
    call("diff", "--env", "local", "--shared")
    assert seen == [("staging", False), ("local", True)]


def test_every_command_is_a_module_with_help_arguments_and_run():
    for name in COMMANDS:
        module = importlib.import_module(f"seatrial.commands.{name}")
        assert (module.__doc__ or "").strip(), name
        assert callable(module.arguments), name
        assert callable(module.run), name
    assert cli.__doc__
