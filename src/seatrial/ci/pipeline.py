"""A pipeline as values: jobs in the order in which they run, their steps, and what each of them needs; the same for both forges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from seatrial.errors import UsageError

Context = Mapping[str, Any]
"""What expressions may ask for: GitHub's contexts by name, or GitLab's variables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: a command to `run`, or an action that it `uses` (by its name, without the commit) with `inputs`.

    `inputs`, `env` and `condition` are as they stand in the file. With `keep_going`, its failure is no failure of the job.
    """

    name: str
    run: str = ""
    uses: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    condition: str = ""
    id: str = ""
    keep_going: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job; `environment` is the one it deploys to, `writes` are the rights to change something at the forge that it asks for.

    `why_not` says why it does not belong to a pipeline of this event, where it does not.
    """

    id: str
    name: str
    steps: tuple[Step, ...]
    needs: tuple[str, ...] = ()
    condition: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    matrix: Mapping[str, Any] = field(default_factory=dict)
    environment: str = ""
    writes: tuple[str, ...] = ()
    manual: bool = False
    keep_going: bool = False
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Where a job stands: its variables, what its earlier steps and the jobs that it needs gave, and where it works."""

    env: Mapping[str, str]
    steps: Mapping[str, Any] = field(default_factory=dict)
    needs: Mapping[str, Any] = field(default_factory=dict)
    matrix: Mapping[str, Any] = field(default_factory=dict)
    workspace: str = ""
    temporary: str = ""


class Language(Protocol):
    """How a forge writes values and conditions."""

    def text(self, template: str, context: Context) -> str:
        """A template with its expressions filled in; ExpressionError where one cannot be evaluated here."""

    def context(self, base: Context, moment: Moment) -> Context:
        """What expressions may ask for at one moment of a job."""

    def holds(self, condition: str, context: Context, *, failed: bool) -> bool:
        """Whether a condition holds; `failed` says whether something before has failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The jobs of one file for one event; `base` is the context that is the same for all of them, `env` their variables."""

    path: str
    event: str
    jobs: tuple[Job, ...]
    language: Language
    base: Context
    env: Mapping[str, str] = field(default_factory=dict)


class ExpressionError(Exception):
    """An expression that cannot be evaluated here; the message says why."""


def in_order(jobs: Sequence[Job], place: str) -> tuple[Job, ...]:
    """The jobs with each one behind those that it needs, else in the file's order; UsageError where that cannot be."""
    known = {job.id for job in jobs}
    for job in jobs:
        for need in job.needs:
            if need not in known:
                raise UsageError(f"{place}: the job {job.id!r} needs {need!r}, and there is no such job")
    waiting, ordered = list(jobs), list[Job]()
    while waiting:
        done = {job.id for job in ordered}
        ready = next((job for job in waiting if set(job.needs) <= done), None)
        if ready is None:
            raise UsageError(f"{place}: {', '.join(job.id for job in waiting)} need each other in a circle")
        waiting.remove(ready)
        ordered.append(ready)
    return tuple(ordered)
