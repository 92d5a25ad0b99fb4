"""What changed since a base commit, told by DVC: metrics, params and plots as one Markdown text.

DVC answers with 0 even where it could not read a file, and its JSON holds bare NaN: what is missing, unreadable or no number
is a fact of its own here, never a value.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.errors import PipelineError
from seatrial.markdown import code, plain, table
from seatrial.merge_base import Base
from seatrial.pipeline import dvc_environment
from seatrial.verdict import Check

MARKER = "<!-- seatrial diff -->"
"""The first line of the text, by which a forge adapter finds the comment that it wrote before."""

PLOTS = Path("reports/plots")
_UNREADABLE = re.compile(r"failed to load some (\w+) for following revisions: (.+?)\.?$", re.MULTILINE)

Value = float | int | bool | str | None
"""What one side has: a number (NaN among them), words, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One metric or parameter on both sides; None where a side has none."""

    path: str
    name: str
    old: Value
    new: Value

    @property
    def delta(self) -> float | None:
        """By how much a number changed; None where a side is no finite number."""
        if not is_finite(self.old) or not is_finite(self.new):
            return None
        return float(self.new or 0) - float(self.old or 0)


def is_number(value: Value) -> bool:
    """Whether a value is a number, NaN and infinity among them."""
    return isinstance(value, float | int) and not isinstance(value, bool)


def is_finite(value: Value) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one DVC command said: the changes, in order of file and name, and the complaints beside them."""

    changes: tuple[Change, ...] = ()
    complaints: str = ""

    @property
    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """What DVC could not read: the kind (`metrics`, `params`) and of which sides."""
        return tuple((str(kind), str(where)) for kind, where in _UNREADABLE.findall(self.complaints))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The answers about one base; `page` says whether DVC drew a page of plots, None that it was not asked to."""

    base: Base
    metrics: Answer
    params: Answer
    plots: Answer = Answer()
    page: bool | None = None


def compare(root: Path, base: Base, env: Mapping[str, str], *, plots: bool = True) -> Comparison:
    """Ask DVC all questions at once (each costs a start of its own); PipelineError where it cannot answer one.

    `plots` draws the page of plots to reports/plots, in place of the last one. Metrics that did not change are among the answers.
    """
    questions = [("metrics", "diff", base.commit, "--json", "--all"), ("params", "diff", base.commit, "--json")]
    if plots:
        shutil.rmtree(root / PLOTS, ignore_errors=True)
        (root / PLOTS).mkdir(parents=True)
        questions.append(("plots", "diff", base.commit, "--out", str(PLOTS)))
    metrics, params, *drawn = _ask(root, questions, env)
    page = (root / PLOTS / "index.html").is_file() if plots else None
    return Comparison(base=base, metrics=metrics, params=params, plots=drawn[0] if drawn else Answer(), page=page)


def _ask(root: Path, questions: Sequence[tuple[str, ...]], env: Mapping[str, str]) -> list[Answer]:
    started: list[subprocess.Popen[str]] = []
    try:
        for question in questions:
            command = [sys.executable, "-m", "dvc", *question]
            pipe = subprocess.PIPE
            started.append(subprocess.Popen(command, cwd=root, env=dvc_environment(env), stdout=pipe, stderr=pipe, text=True))
        return [_answer(question, process) for question, process in zip(questions, started, strict=True)]
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.communicate()


def _answer(question: tuple[str, ...], process: subprocess.Popen[str]) -> Answer:
    text, complaints = process.communicate()
    if process.returncode != 0:
        lines = [line for line in complaints.strip().splitlines() if line.strip()]
        reason = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no reason given")
        raise PipelineError(f"`dvc {' '.join(question)}` failed: {reason}", hint="look at dvc.yaml and at what that command says")
    return Answer(changes=parse_changes(text) if "--json" in question else (), complaints=complaints)


def parse_changes(text: str) -> tuple[Change, ...]:
    """DVC's JSON, `{file: {name: {"old": …, "new": …}}}`, with its bare NaN; PipelineError where it is something else."""
    try:
        found = json.loads(text or "{}")
        changes = [
            Change(path=str(path), name=str(name), old=_value(sides.get("old")), new=_value(sides.get("new")))
            for path, names in found.items()
            for name, sides in names.items()
        ]
    except (ValueError, AttributeError, TypeError) as error:
        raise PipelineError(f"DVC answered with something else than its JSON ({error})", hint="dvc --version: 3.67 is known") from None
    return tuple(sorted(changes, key=lambda change: (change.path, change.name)))


def _value(value: Any) -> Value:
    return value if value is None or isinstance(value, float | int | str) else json.dumps(value, ensure_ascii=False)


def shown(value: Value) -> str:
    """A value in words: numbers with six digits, a dash for none."""
    if value is None:
        return "–"
    return f"{value:.6g}" if is_number(value) and isinstance(value, float) else str(value)


def signed(value: float | None) -> str:
    """A difference with its sign; a dash where there is none."""
    return "–" if value is None else "0" if value == 0 else f"{value:+.5g}"


def differs(change: Change) -> bool:
    """Whether both sides are not the same; NaN is like nothing, so it always differs."""
    return change.old != change.new or change.old != change.old


def to_markdown(comparison: Comparison, checks: Sequence[Check] = ()) -> str:
    """The comparison as Markdown: a heading, the base, tables of metrics and params, tolerances, and what could not be compared."""
    base = comparison.base
    lines = [MARKER, "## Metrics and params", "", f"Compared with `{base.commit}`, {plain(base.reason)}.", ""]
    metrics = [change for change in comparison.metrics.changes if differs(change)]
    lines += ["### Metrics", "", metrics_table(metrics, base) if metrics else "No metrics changed.", ""]
    if checks:
        lines += ["### Tolerances", "", *(f"- **{one.outcome.value}** {plain(one.message)}" for one in checks), ""]
    params = comparison.params.changes
    lines += ["### Params", "", params_table(params, base) if params else "No params changed.", ""]
    if comparison.page is not None:
        lines += ["### Plots", "", _plots_sentence(comparison), ""]
    notes = find_notes(comparison)
    if notes:
        lines += ["### What could not be compared", "", *(f"- {note}" for note in notes), ""]
    return "\n".join(lines)


def metrics_table(changes: Sequence[Change], base: Base) -> str:
    """Metrics on both sides as a Markdown table."""
    rows = [(code(one.path), code(one.name), plain(shown(one.old)), plain(shown(one.new)), signed(one.delta)) for one in changes]
    return table(("path", "metric", base.commit, "workspace", "change"), rows, numbers=("change", base.commit, "workspace"))


def params_table(changes: Sequence[Change], base: Base) -> str:
    """Params on both sides as a Markdown table."""
    rows = [(code(one.path), code(one.name), plain(shown(one.old)), plain(shown(one.new))) for one in changes]
    return table(("path", "param", base.commit, "workspace"), rows)


def _plots_sentence(comparison: Comparison) -> str:
    if not comparison.page:
        return "DVC drew no plots."
    return f"Both sides of each plot: `{PLOTS.as_posix()}/index.html`."


def find_notes(comparison: Comparison) -> tuple[str, ...]:
    """One sentence of Markdown for each thing that one of the two sides does not have, or that is no number, with what to do."""
    changes = comparison.metrics.changes
    only_now = [one.name for one in changes if one.old is None and one.new is not None]
    only_then = [one.name for one in changes if one.new is None]
    strange = [(side, one.name) for one in changes for side in ("old", "new") if _strange(getattr(one, side))]
    notes = []
    if only_now:
        notes.append(
            f"The base has no value for {_listed(only_now)}: nothing to compare with until the base commits its metrics, "
            "or name a commit that has them: `--base REV`."
        )
    if only_then:
        notes.append(f"The workspace has no value for {_listed(only_then)}: run `nox -s train`.")
    for side, words in (("old", "at the base"), ("new", "in the workspace")):
        names = [name for where, name in strange if where == side]
        if names:
            notes.append(f"{_listed(names)} {'is' if len(names) == 1 else 'are'} no finite number {words}: {_remedy(side)}.")
    known = "metrics" if only_now or only_then else ""
    for answer in (comparison.metrics, comparison.params, comparison.plots):
        notes += [f"DVC could not read the {plain(kind)} of {plain(where)}." for kind, where in answer.unreadable if kind != known]
    return tuple(notes)


def _strange(value: Value) -> bool:
    return is_number(value) and not is_finite(value)


def _remedy(side: str) -> str:
    return "mend what the evaluation computes, then `nox -s train`" if side == "new" else "compare with a commit that has one: `--base REV`"


def _listed(names: Sequence[str]) -> str:
    shown_names = ", ".join(code(name) for name in names[:5])
    return shown_names if len(names) <= 5 else f"{shown_names} and {len(names) - 5} more"
