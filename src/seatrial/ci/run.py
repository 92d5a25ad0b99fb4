"""Run a pipeline: each job in a clean clone of its own, step by step, as its file says.

Every decision comes from `seatrial.ci.choice`; this module acts on it, and says what it does.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seatrial.ci.choice import FAILURE, SKIPPED, SUCCESS, Allowed, why_no_job, why_no_step
from seatrial.ci.pipeline import ExpressionError, Job, Moment, Pipeline, Step
from seatrial.ci.shell import machine_variables, make_tools, read_settings, run_command
from seatrial.ci.standins import LeftOutError, Place, save_caches, stand_in
from seatrial.errors import SeatrialError

Say = Callable[[str], None]
FILES = ("output", "env", "path", "step_summary")
MACHINES = ("UV_CACHE_DIR", "PIP_CACHE_DIR")
"""Where a forge keeps packages between jobs; here the machine's own caches are used."""
UNSET = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How one job ended, why where it did not run, and after how many seconds; `exit_code` is that of the step that failed it."""

    job: str
    result: str
    why: str = ""
    seconds: float = 0.0
    steps: int = 0
    exit_code: int = 0
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One run: the repository and the commit that clones are made of, the folder of the run, and what may act on the world.

    `state` is the folder in which a rehearsal leaves its endpoint's state for the next one; without it, that ends with the run.
    """

    root: Path
    commit: str
    folder: Path
    caches: Path
    environ: Mapping[str, str]
    allowed: Allowed
    keep: bool = False
    state: Path | None = None


def run_pipeline(pipeline: Pipeline, setting: Setting, say: Say) -> list[Done]:
    """Run every job that may run, in order, and give how each ended; clones and temporary files are removed, artifacts stay."""
    shutil.rmtree(setting.folder, ignore_errors=True)
    make_tools(setting.folder / "tools", setting.environ)
    ended: dict[str, Done] = {}
    try:
        for job in pipeline.jobs:
            ended[job.id] = _Job(pipeline, setting, job, ended, say).run()
    finally:
        for name in () if setting.keep else ("tools", "clones", "temporary", "home"):
            shutil.rmtree(setting.folder / name, ignore_errors=True)
    return list(ended.values())


class _Job:
    """One job on its way."""

    def __init__(self, pipeline: Pipeline, setting: Setting, job: Job, ended: Mapping[str, Done], say: Say) -> None:
        name = "".join(sign if sign.isalnum() else "-" for sign in job.id)
        self._pipeline, self._setting, self._job, self._ended, self._say = pipeline, setting, job, ended, say
        self._temporary = setting.folder / "temporary" / name
        self._place = Place(
            root=setting.root,
            commit=setting.commit,
            job=name,
            workspace=setting.folder / "clones" / name,
            artifacts=setting.folder / "artifacts",
            caches=setting.caches,
            env={},
        )
        self._steps: dict[str, Any] = {}
        self._paths: list[str] = []
        self._failed, self._code, self._count = False, 0, 0

    def run(self) -> Done:
        """The whole job, or the reason why it does not run."""
        job, language, start = self._job, self._pipeline.language, time.monotonic()
        results = {name: done.result for name, done in self._ended.items()}
        why = why_no_job(job, language, self._context(self._pipeline.env), results=results, allowed=self._setting.allowed)
        if why:
            self._say(f"{job.id}: skipped: {why}")
            return Done(job=job.id, result=SKIPPED, why=why)
        self._say(f"{job.id}: {job.name}")
        self._temporary.mkdir(parents=True)
        outputs = self._guarded()
        result = FAILURE if self._failed and not job.keep_going else SUCCESS
        seconds = time.monotonic() - start
        self._say(f"{job.id}: {result}, {seconds:.0f} s")
        code = self._code if result == FAILURE else 0
        return Done(job=job.id, result=result, seconds=seconds, steps=self._count, exit_code=code, outputs=outputs)

    def _all_steps(self) -> dict[str, str]:
        """Run the steps and give the job's outputs."""
        self._place.env |= self._filled({**self._pipeline.env, **self._job.env})
        for step in self._job.steps:
            self._take(step)
        if not self._failed:
            save_caches(self._place)
        return self._filled(self._job.outputs)

    def _guarded(self) -> dict[str, str]:
        """The outputs of the job; settings of its own that cannot be evaluated are its failure."""
        try:
            return self._all_steps()
        except ExpressionError as error:
            self._say(f"{self._job.id}: failed: {error}")
            self._failed, self._code = True, self._code or 2
            return {}

    def _take(self, step: Step) -> None:
        """Run one step, or say why not."""
        try:
            env = self._rehearsed({**self._place.env, **self._filled(step.env)})
            why = why_no_step(step, self._pipeline.language, self._context(env), failed=self._failed)
            code, words = (0, f"skipped: {why}") if why else self._done(step, env)
        except ExpressionError as error:
            code, words = 2, f"failed: {error}"
        except SeatrialError as error:
            code, words = error.exit_code, f"failed: {error.message}"
        kept = ", and the job goes on all the same" if code and step.keep_going else ""
        self._say(f"{self._job.id}: {step.name}: {words}{kept}")
        outcome = FAILURE if code else SKIPPED if words.startswith("skipped") else SUCCESS
        if step.id:
            known = self._steps.get(step.id, {}).get("outputs", {})
            self._steps[step.id] = {"outputs": known, "outcome": outcome, "conclusion": SUCCESS if step.keep_going else outcome}
        if code and not step.keep_going and not self._failed:
            self._failed, self._code = True, code

    def _done(self, step: Step, env: Mapping[str, str]) -> tuple[int, str]:
        """The step's exit code, and what came of it in words."""
        self._count += 1
        if not step.uses:
            return self._ran(step, env)
        language, context = self._pipeline.language, self._context(env)
        try:
            return 0, stand_in(self._place, step.uses, {name: language.text(one, context) for name, one in step.inputs.items()})
        except LeftOutError as left_out:
            return 0, f"skipped: {left_out}"

    def _ran(self, step: Step, env: Mapping[str, str]) -> tuple[int, str]:
        """Run a step's command; GitHub fills its expressions in before, the variables are the shell's on both."""
        command = self._pipeline.language.text(step.run, self._context(env)) if "${{" in step.run else step.run
        self._say(f"{self._job.id}: $ {command}")
        start = time.monotonic()
        said = {name: self._temporary / f"{self._count}-{name}" for name in FILES}
        for path in said.values():
            path.touch()
        files = {f"GITHUB_{name.upper()}": str(path) for name, path in said.items()}
        leash = self._temporary / "parent"
        code = run_command(command, folder=self._place.workspace, env={**self._machine(), **env, **files}, leash=leash)
        self._heed(step, said)
        return code, f"{'ended with ' + str(code) if code else 'done'}, {time.monotonic() - start:.1f} s"

    def _heed(self, step: Step, said: Mapping[str, Path]) -> None:
        """Take over what a step said by its files: outputs, variables, folders of programs, and its part of the summary."""
        if step.id:
            self._steps[step.id] = {"outputs": read_settings(said["output"])}
        self._place.env.update(read_settings(said["env"]))
        self._paths = [*reversed(said["path"].read_text(encoding="utf-8").split()), *self._paths]
        summary = said["step_summary"].read_text(encoding="utf-8")
        if summary.strip():
            with (self._setting.folder / "summary.md").open("a", encoding="utf-8") as stream:
                stream.write(summary.rstrip("\n") + "\n\n")

    def _machine(self) -> dict[str, str]:
        found = machine_variables(self._setting.environ, self._setting.folder / "tools")
        return {**found, "PATH": os.pathsep.join([*self._paths, found["PATH"]])}

    def _filled(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Texts with their expressions filled in, without the variables that are this machine's own."""
        language, context = self._pipeline.language, self._context(self._place.env)
        return {name: language.text(value, context) for name, value in texts.items() if name not in MACHINES}

    def _rehearsed(self, env: dict[str, str]) -> dict[str, str]:
        """The variables; of an environment that is only rehearsed, they lead nowhere else."""
        if not self._setting.allowed.ephemeral or not (self._job.environment or env.get("SEATRIAL_ENV")):
            return env
        kept = {name: value for name, value in env.items() if name not in UNSET}
        return {**kept, "SEATRIAL_ENV": "ephemeral", "SEATRIAL_HOME": str(self._setting.state or self._setting.folder / "home")}

    def _context(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        needs = {name: {"outputs": done.outputs, "result": done.result} for name, done in self._ended.items()}
        moment = Moment(
            env=env,
            steps=self._steps,
            needs={name: needs[name] for name in self._job.needs if name in needs},
            matrix=self._job.matrix,
            workspace=str(self._place.workspace),
            temporary=str(self._temporary),
        )
        return self._pipeline.language.context(self._pipeline.base, moment)
