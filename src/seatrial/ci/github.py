"""A workflow file of GitHub Actions as a pipeline of one event."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.ci.expressions import GitHubLanguage
from seatrial.ci.pipeline import Context, Job, Pipeline, Step, in_order
from seatrial.ci.source import Source, as_mapping, texts
from seatrial.errors import UsageError

EVENTS = ("pull_request", "push", "schedule", "workflow_dispatch", "workflow_run")
"""Where none is named, the first of these that a file waits for."""
NOT_READ = {"services", "container", "uses"}
"""What a job may have, and what is not done here: the job says so instead of running otherwise than at the forge."""


def read_workflow(path: str, document: Mapping[Any, Any], source: Source) -> Pipeline:
    """The jobs of a workflow for the event asked for; UsageError where the file is none, or waits for no such event."""
    triggers = _triggers(document, path)
    event = source.event or next((name for name in EVENTS if name in triggers), "")
    if event not in triggers:
        raise UsageError(f"{path} does not run on {event or 'any event known here'!r}", hint=f"it runs on: {', '.join(triggers)}")
    base = _contexts(event, _inputs(event, triggers[event], source), source)
    jobs = [made for id, job in as_mapping(document.get("jobs"), f"{path}: jobs").items() for made in _jobs(id, job, path)]
    return Pipeline(
        path=path,
        event=event,
        jobs=in_order(jobs, path),
        language=GitHubLanguage(),
        base=base,
        env={**_variables(base, source), **texts(document.get("env"))},
    )


def _triggers(document: Mapping[Any, Any], path: str) -> dict[str, Any]:
    found = document.get("on", document.get(True))  # in YAML 1.1 `on` is a truth value
    if isinstance(found, str):
        return {found: {}}
    if isinstance(found, list):
        return {str(name): {} for name in found}
    return dict(as_mapping(found, f"{path}: on"))


def _inputs(event: str, trigger: Any, source: Source) -> dict[str, Any]:
    """The inputs of a run by hand, those that were given over the defaults."""
    declared = as_mapping(trigger.get("inputs"), f"on.{event}.inputs") if isinstance(trigger, Mapping) else {}
    unknown = sorted(set(source.inputs) - set(declared))
    if unknown:
        raise UsageError(f"there is no input {unknown[0]!r} for the event {event!r}", hint=f"known: {', '.join(declared) or 'none'}")
    return {**{name: as_mapping(one, name).get("default", "") for name, one in declared.items()}, **source.inputs}


def _contexts(event: str, inputs: Mapping[str, Any], source: Source) -> Context:
    """The contexts that all jobs share: HEAD stands for the merge of a pull request, its merge base for the target's commit."""
    asked = event == "pull_request"
    default = source.default_branch
    happened = {
        "repository": {"default_branch": default, "full_name": source.slug},
        "number": 0,
        "pull_request": {
            "number": 0,
            "base": {"sha": source.base, "ref": default},
            "head": {"sha": source.head, "repo": {"full_name": source.slug}},
        }
        if asked
        else None,
    }
    github = {
        "event": happened,
        "event_name": event,
        "sha": source.head,
        "ref": source.head if asked or not source.branch else f"refs/heads/{source.branch}",
        "ref_name": source.branch or source.head,
        "head_ref": source.branch if asked else "",
        "base_ref": default if asked else "",
        "repository": source.slug,
        "actor": source.actor,
        "triggering_actor": source.actor,
        "run_id": "0",
        "run_number": "0",
        "run_attempt": "1",
        "server_url": "",
        "workflow": "",
        "token": "",
    }
    return {"github": github, "vars": dict(source.variables), "secrets": {}, "inputs": inputs}


def _variables(base: Context, source: Source) -> dict[str, str]:
    github = base["github"]
    named = (
        "event_name",
        "sha",
        "ref",
        "ref_name",
        "head_ref",
        "base_ref",
        "repository",
        "actor",
        "triggering_actor",
        "run_id",
        "run_attempt",
    )
    return {"CI": "true", "GITHUB_ACTIONS": "true", **{f"GITHUB_{name.upper()}": str(github[name]) for name in named}}


def _jobs(id: str, job: Any, path: str) -> Iterator[Job]:
    """One job, or one for each combination of its matrix; they differ by the matrix alone."""
    place = f"{path}: jobs.{id}"
    values = as_mapping(job, place)
    axes = {
        name: one
        for name, one in as_mapping(as_mapping(values.get("strategy"), place).get("matrix"), place).items()
        if isinstance(one, list)
    }
    for number, combination in enumerate(itertools.product(*axes.values())):
        matrix = dict(zip(axes, combination, strict=True))
        yield _job(id if not number else f"{id} ({', '.join(map(str, combination))})", values, place, matrix, first=not number)


def _job(id: str, values: Mapping[str, Any], place: str, matrix: Mapping[str, Any], *, first: bool) -> Job:
    environment = values.get("environment") or ""
    needs = values.get("needs") or []
    unread = sorted(NOT_READ & set(values))
    why_not = f"it has {unread[0]!r}, which is not done here" if unread else "" if first else "another combination of its matrix runs here"
    return Job(
        id=id,
        name=str(values.get("name") or id),
        steps=tuple(_step(one, f"{place}.steps[{number}]") for number, one in enumerate(values.get("steps") or [])),
        needs=(needs,) if isinstance(needs, str) else tuple(map(str, needs)),
        condition=str(values.get("if", "")),
        env=texts(values.get("env")),
        outputs=texts(values.get("outputs")),
        matrix=matrix,
        environment=str(environment.get("name", "") if isinstance(environment, Mapping) else environment),
        writes=_writes(values.get("permissions") or {}),
        keep_going=values.get("continue-on-error") is True,
        why_not=why_not,
    )


def _writes(permissions: Any) -> tuple[str, ...]:
    """The rights to change something at the forge; an identity token changes nothing there."""
    if not isinstance(permissions, Mapping):
        return ("everything",) if permissions == "write-all" else ()
    return tuple(sorted(name for name, right in permissions.items() if right == "write" and name != "id-token"))


def _step(one: Any, place: str) -> Step:
    values = as_mapping(one, place)
    uses, run = str(values.get("uses", "")).partition("@")[0], str(values.get("run", "")).strip()
    if bool(uses) == bool(run):
        raise UsageError(f"{place}: a step has either `run` or `uses`")
    return Step(
        name=str(values.get("name") or run or uses),
        run=run,
        uses=uses,
        inputs=texts(values.get("with")),
        env=texts(values.get("env")),
        condition=str(values.get("if", "")),
        id=str(values.get("id", "")),
        keep_going=values.get("continue-on-error") is True,
    )
