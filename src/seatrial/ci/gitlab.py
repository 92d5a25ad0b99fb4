"""A .gitlab-ci.yml as a pipeline of one event: stages, `extends`, `rules`, `needs`, and artifacts that go from job to job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from seatrial.ci.gitlab_rules import GitLabLanguage, condition_holds
from seatrial.ci.pipeline import ExpressionError, Job, Pipeline, Step, in_order
from seatrial.ci.source import Reference, Source, as_mapping, texts
from seatrial.errors import UsageError

EVENTS = ("merge_request_event", "push", "schedule", "web")
WORDS = {"default", "include", "stages", "variables", "workflow", "spec"}
INHERITED = ("before_script", "artifacts", "cache")
"""What of `default` matters here."""
STAGES = ["build", "test", "deploy"]
NOT_OF_IT = "none of its rules takes it into a pipeline of this event"
ARTIFACTS, CHECKOUT, CACHE = "gitlab/artifacts", "actions/checkout", "actions/cache"


def read_gitlab(path: str, document: Mapping[str, Any], source: Source) -> Pipeline:
    """The jobs of the file for the event asked for (merge_request_event where none is); UsageError where it cannot be read."""
    if "include" in document:
        raise UsageError(f"{path}: `include` is not read here", hint="put its jobs into the file, or run theirs at the forge")
    event = source.event or EVENTS[0]
    if event not in EVENTS:
        raise UsageError(f"{path} does not run on {event!r}", hint=f"it runs on: {', '.join(EVENTS)}")
    base = {**texts(document.get("variables")), **_variables(event, source), **source.variables}
    stages = [str(name) for name in document.get("stages") or STAGES]
    common = {key: value for key, value in as_mapping(document.get("default"), f"{path}: default").items() if key in INHERITED}
    bodies = {name: {**common, **_whole(document, name, path)} for name in document if name not in WORDS and not str(name).startswith(".")}
    unknown = sorted({str(body.get("stage", "test")) for body in bodies.values()} - set(stages))
    if unknown:
        raise UsageError(f"{path}: there is no stage {unknown[0]!r}", hint=f"stages: {', '.join(stages)}")
    ordered = sorted(bodies, key=lambda name: stages.index(str(bodies[name].get("stage", "test"))))
    outside = _why_no_pipeline(document, base)
    jobs = _without_absent([_job(name, bodies, stages, base, source.variables, outside) for name in ordered], bodies)
    return Pipeline(path=path, event=event, jobs=in_order(jobs, path), language=GitLabLanguage(), base=base, env=base)


def _variables(event: str, source: Source) -> dict[str, str]:
    """GitLab's own variables, as far as a session may ask for them."""
    common = {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_PIPELINE_SOURCE": event,
        "CI_COMMIT_SHA": source.head,
        "CI_COMMIT_REF_NAME": source.branch or source.head,
        "CI_COMMIT_REF_SLUG": "local",
        "CI_DEFAULT_BRANCH": source.default_branch,
        "CI_PROJECT_PATH": source.slug,
        "CI_PIPELINE_URL": "",
        "GITLAB_USER_LOGIN": source.actor,
    }
    if event != "merge_request_event":
        return {**common, "CI_COMMIT_BRANCH": source.branch}
    asked = {
        "CI_MERGE_REQUEST_IID": "0",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": source.base,
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": source.branch,
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": source.default_branch,
        "CI_MERGE_REQUEST_PROJECT_PATH": source.slug,
        "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": source.slug,
    }
    return {**common, **asked}


def _whole(document: Mapping[str, Any], name: str, path: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """A job with what it extends, and references put in their places."""
    if name in seen:
        raise UsageError(f"{path}: {' extends '.join((*seen, name))}")
    if name not in document:
        raise UsageError(f"{path}: {seen[-1]!r} extends {name!r}, and there is no such job")
    body = as_mapping(document[name], f"{path}: {name}")
    extended = body.get("extends") or []
    whole: dict[str, Any] = {}
    for other in [extended] if isinstance(extended, str) else extended:
        whole = _merged(whole, _whole(document, other, path, (*seen, name)))
    return {key: _resolved(value, document, path) for key, value in _merged(whole, body).items()}


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings key by key, all else replaced: as GitLab merges."""
    both = {key: _merged(under[key], over[key]) for key in over if isinstance(over[key], Mapping) and isinstance(under.get(key), Mapping)}
    return {**under, **over, **both}


def _resolved(value: Any, document: Mapping[str, Any], path: str) -> Any:
    if isinstance(value, Reference):
        found: Any = document
        for part in value.place:
            found = as_mapping(found, path).get(part)
        return _resolved(found, document, path)
    if isinstance(value, list):
        flat: list[Any] = []
        for one in value:
            put = _resolved(one, document, path)
            flat += put if isinstance(one, Reference) and isinstance(put, list) else [put]
        return flat
    return value


def _why_no_pipeline(document: Mapping[str, Any], base: Mapping[str, str]) -> str:
    rules = as_mapping(document.get("workflow"), "workflow").get("rules")
    chosen = _chosen(rules, base)
    return "" if chosen is not None and chosen.get("when") != "never" else "workflow.rules make no pipeline of this event"


def _chosen(rules: Any, variables: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The first rule whose `if` holds; without rules, an empty one. What files changed is not asked."""
    if rules is None:
        return {}
    for rule in rules:
        if condition_holds(str(rule.get("if", "")), variables):
            return dict(rule)
    return None


def _job(
    name: str,
    bodies: Mapping[str, Mapping[str, Any]],
    stages: list[str],
    base: Mapping[str, str],
    above: Mapping[str, str],
    outside: str,
) -> Job:
    """The job as this event has it; `above` are the project's variables, which stand above those of the file."""
    body = bodies[name]
    variables = {**base, **texts(body.get("variables")), **above}
    try:
        rule, why_not = _chosen(body.get("rules"), variables), outside
    except ExpressionError as error:
        rule, why_not = {}, f"its rules cannot be evaluated here: {error}"
    if rule is None or rule.get("when") == "never":
        rule, why_not = rule or {}, why_not or NOT_OF_IT
    environment = body.get("environment") or ""
    needs, taken = _needs(name, bodies, stages)
    return Job(
        id=name,
        name=name,
        steps=tuple(_steps(body, taken)),
        needs=needs,
        env={**texts(body.get("variables")), **texts(rule.get("variables")), **above},
        environment=str(environment.get("name", "") if isinstance(environment, Mapping) else environment),
        manual=str(rule.get("when") or body.get("when") or "") == "manual",
        keep_going=body.get("allow_failure") is True or rule.get("allow_failure") is True,
        why_not=why_not,
    )


def _without_absent(jobs: Sequence[Job], bodies: Mapping[str, Mapping[str, Any]]) -> list[Job]:
    """The jobs; who waits for the stages before its own waits for what this pipeline has of them."""
    absent = {job.id for job in jobs if job.why_not == NOT_OF_IT}
    return [
        job if "needs" in bodies[job.id] else replace(job, needs=tuple(need for need in job.needs if need not in absent)) for job in jobs
    ]


def _needs(name: str, bodies: Mapping[str, Mapping[str, Any]], stages: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which jobs come before, and of which the artifacts are taken: those that it needs, or all of earlier stages."""
    body = bodies[name]
    if "needs" not in body:
        own = stages.index(str(body.get("stage", "test")))
        before = tuple(other for other, one in bodies.items() if stages.index(str(one.get("stage", "test"))) < own)
        return before, before
    wanted = [one if isinstance(one, Mapping) else {"job": one} for one in body["needs"]]
    named = tuple(str(one["job"]) for one in wanted if not (one.get("optional") and one["job"] not in bodies))
    return named, tuple(str(one["job"]) for one in wanted if one.get("artifacts", True) and one["job"] in named)


def _cached(caches: Any) -> str:
    """The folders of all caches, one a line."""
    every = [as_mapping(one, "cache") for one in (caches if isinstance(caches, list) else [caches])]
    return "\n".join(str(path) for one in every for path in one.get("paths") or [])


def _steps(body: Mapping[str, Any], taken: tuple[str, ...]) -> list[Step]:
    """Checkout, caches, what earlier jobs handed over, each line of the scripts, and what this job hands over."""
    found = [Step(name="Check out", uses=CHECKOUT)]
    if kept := _cached(body.get("cache")):
        found.append(Step(name="Cache", uses=CACHE, inputs={"path": kept}))
    if taken:
        found.append(Step(name="Take over artifacts", uses=ARTIFACTS, inputs={"from": "\n".join(taken)}))
    for key in ("before_script", "script"):
        lines = body.get(key) or []
        found += [Step(name=line.strip(), run=line.strip()) for line in ([lines] if isinstance(lines, str) else map(str, lines))]
    artifacts = as_mapping(body.get("artifacts"), "artifacts")
    if artifacts:
        when = {"always": "always", "on_failure": "failure"}.get(str(artifacts.get("when", "")), "")
        reports = as_mapping(artifacts.get("reports"), "reports")
        put = {"paths": "\n".join(map(str, artifacts.get("paths") or [])), "dotenv": str(reports.get("dotenv") or "")}
        found.append(Step(name="Hand over artifacts", uses=ARTIFACTS, inputs=put, condition=when))
    return found
