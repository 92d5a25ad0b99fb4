"""The command line: each command is one library call, in a module of `seatrial.commands` with the command's name.

A command module has a docstring (its help), `arguments(parser)` and `run(project, options) -> exit code`. Only the module
of the command that was asked for is imported, so that an answer from a recorded verdict costs milliseconds.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from pathlib import Path

from seatrial.errors import SeatrialError, UsageError
from seatrial.failpoints import arm

COMMANDS = {
    "pull": "fetch from DVC's remote what is needed, each object checked by its hash",
    "validate": "test the data against its contract, its statistics, the reference and the clock",
    "contract": "draft a data contract from the data, show it, compare two, carry it to and from pandera",
    "train": "run the DVC pipeline, then log the run to MLflow",
    "diff": "compare metrics, params and plots with the merge base",
    "gate": "test the challenger: floors, champion, fairness, behaviour, latency; register it if it passes",
    "review": "write the comment of a pull request: verdicts, metrics, params, data and contract against the merge base",
    "rerun": "repeat a recorded run in a clean clone of its commit, and compare",
    "noise": "train with other luck, and show by how much each metric moves",
    "push": "send to DVC's remote what it lacks, and read every object back",
    "verify": "ask whether everything is reproduced and pushed",
    "deploy": "take the gated challenger live, step by step",
    "status": "show what serves, with which weight",
    "history": "what was champion when, who promoted it, on what evidence",
    "tick": "decide once about the rollout that is under way, for cron and CI",
    "approve": "say yes to the challenger that waits for a person",
    "pause": "stop a rollout from advancing",
    "resume": "let a paused rollout go on",
    "promote": "make the challenger champion now, with a reason",
    "abort": "end the rollout that is under way",
    "rollback": "return all traffic to the previous champion",
    "up": "start the endpoint again with what was live",
    "down": "stop the endpoint",
    "transfer": "bring a champion with its evidence from one environment into another",
    "audit": "ask whether registry, verdicts, bytes and ledger still agree",
    "predict": "score a table in batch with the champion's bundle",
    "replay": "send rows of the table to the endpoint",
    "drift": "compare what the endpoint was asked with what the champion was trained on",
    "monitor": "measure a window of live traffic: failed requests, latency, drift, outcomes; tell what is wrong",
    "labels": "keep outcomes that became known, and say how well the champion did",
    "retrain": "ask whether to train again, and why; with --run, up to the gate",
    "drill": "game day: break a scratch endpoint on purpose, and see what is kept",
    "ci": "run a pipeline of the forge on this machine, step by step, in clean clones",
    "simulate": "replay the sample through a scripted year, and see which alarms fire",
    "serve": "serve one bundle, without an endpoint around it",
}

PARENT = "SEATRIAL_PARENT"


def main(argv: list[str] | None = None) -> None:
    """Run one command and exit: 0 pass, 1 fail, 2 error, 3 inconclusive or held, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _follow(os.environ.pop(PARENT, None))
        code = _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        _say("interrupted; the same command goes on from here")
        code = 130
    except ModuleNotFoundError as error:
        _say(f"error: this command needs the package {error.name!r}\n  → install seatrial with all its extras: pip install 'seatrial[all]'")
        code = 2
    except SeatrialError as error:
        _say(f"error: {error}" if error.exit_code == 2 else f"refused: {error}")
        code = error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 2
    except OSError as error:
        _say(f"error: {error.filename or 'a file or socket'}: {error.strerror or error}\n  → mend that, and run the same command again")
        code = 2
    except Exception:  # noqa: BLE001 - a defect of ours: all of it is shown, and it is no verdict
        import traceback

        traceback.print_exc()
        _say("error: this is a defect of Seatrial, please report it with the lines above")
        code = 2
    sys.stdout.flush()
    sys.exit(code)


def _interrupt(*_: object) -> None:
    """A CI job that is cancelled ends a command as Ctrl-C does."""
    raise KeyboardInterrupt


def _follow(parent: str | None) -> None:
    """End as by SIGTERM once nox dies: killed, it would leave the command running (Linux; elsewhere the command goes on).

    `parent` is the process id that started the command, by its own word.
    """
    if sys.platform != "linux" or not (parent or "").isdigit() or int(parent or 0) != os.getppid():
        return
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != int(parent or 0):  # it died just before
        _interrupt()


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _run(argv: list[str]) -> int:
    arm(os.environ)
    verb = argv[0] if argv else "--help"
    if verb in ("-h", "--help"):
        print(_overview())
        return 0
    if verb == "--version":
        from seatrial import __version__

        print(__version__)
        return 0
    if verb not in COMMANDS:
        from seatrial.located import nearest

        raise UsageError(f"there is no command {verb!r}{nearest(verb, COMMANDS)}", hint="seatrial --help lists the commands")
    return _dispatch(verb, argv[1:])


def _dispatch(verb: str, argv: list[str]) -> int:
    from seatrial.project import Project

    module = importlib.import_module(f"seatrial.commands.{verb}")
    parser = argparse.ArgumentParser(
        prog=f"seatrial {verb}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", help="the environment of params.yaml (default: SEATRIAL_ENV, or local)")
    parser.add_argument(
        "--shared", action="store_true", help="let the environment `local` write to the shared registry of MLFLOW_TRACKING_URI"
    )
    module.arguments(parser)
    options = parser.parse_args(argv)
    project = Project.find(Path.cwd(), environment=options.env, shared=options.shared)
    code: int = module.run(project, options)
    return code


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {verb:<{width}}  {sentence}" for verb, sentence in COMMANDS.items()]
    return "\n".join(["usage: seatrial COMMAND [options]", "", *lines, "", "seatrial COMMAND --help tells a command's options."])
