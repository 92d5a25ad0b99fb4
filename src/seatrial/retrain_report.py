"""The decision to train again as a verdict, and as Markdown for a pull request or an issue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from seatrial.files import sha256_json
from seatrial.refit import Refit
from seatrial.retrain import Decision
from seatrial.verdict import Check, Outcome, Verdict

if TYPE_CHECKING:
    from seatrial.adapters.registry import RegisteredVersion
    from seatrial.monitor_history import Record
    from seatrial.project import Project

WINDOWS = 7
MARKER = "<!-- seatrial retrain -->"
"""The first line of the evidence, by which a forge knows the issue that it was put into before."""
HELPS = {True: Outcome.PASS, False: Outcome.FAIL, None: Outcome.INCONCLUSIVE}


def retrain_verdict(project: Project, champion: RegisteredVersion, decision: Decision, refit: Refit | None) -> Verdict:
    """INCONCLUSIVE (exit 3: a person is to decide) where a training is asked for, PASS where none is."""
    from seatrial import __version__

    settings = project.settings
    subject = {
        "bundle": champion.digest,
        "reasons": list(map(str, decision.reasons)) if decision.wanted else [],
        "policy": sha256_json([settings.retrain.to_dict(), settings.gate_policy, __version__]),
    }
    return Verdict(kind="retrain", subject=subject, checks=tuple(_checks(decision, refit)))


def _checks(decision: Decision, refit: Refit | None) -> Iterator[Check]:
    for one in decision.findings:
        asks = decision.wanted and one.reason in decision.reasons
        rest = " (it was answered already, and has to be gone before it counts again)" if one.resting else ""
        waits = f"; held back: {decision.held_back}" if decision.held_back and one.reason in decision.reasons else ""
        outcome = Outcome.INCONCLUSIVE if one.holds else Outcome.PASS
        yield Check(name=f"retrain.{one.reason}", outcome=outcome, message=f"{one.message}{rest}{waits}", advisory=one.holds and not asks)
    if refit is not None:
        message = f"{refit.message}; {refit.fitted:,} rows fitted, {refit.judged:,} judged" if refit.judged else refit.message
        yield Check(name="retrain.help", outcome=HELPS[refit.helps], message=message, advisory=True)
        for check in refit.checks:
            yield Check(name=f"retrain.help.{check.name}", outcome=check.outcome, message=check.message, advisory=True)


def retrain_markdown(
    project: Project, champion: RegisteredVersion, verdict: Verdict, refit: Refit | None, records: Sequence[Record]
) -> str:
    """The evidence, most important first: what is asked, why, whether it would help, what the windows showed, what to do."""
    settings = project.settings
    reasons = ", ".join(verdict.subject["reasons"]) or "no reason"
    title = (
        f"## Train {settings.model.name} again? {reasons}"
        if verdict.subject["reasons"]
        else f"## {settings.model.name}: no training is asked for"
    )
    parts = [f"{MARKER}\n{title}", f"Version {champion.version} (`{champion.digest[:19]}…`) in {settings.environment}."]
    parts.append("\n".join(["| reason | holds | what was found |", "|---|---|---|", *_reasons(verdict)]))
    if refit is not None:
        parts.append(_help(refit))
    if records:
        parts.append(_windows(records[-WINDOWS:], settings.model.primary))
    parts.append(
        "To begin: `nox -s retrain -- --run` (pull, validate, train, gate; it stops before deploy). "
        "To decline: `nox -s retrain -- --decline --reason '…'`; that is remembered."
    )
    return "\n\n".join(parts) + "\n"


def _reasons(verdict: Verdict) -> Iterator[str]:
    for check in verdict.checks:
        if not check.name.startswith("retrain.help"):
            holds = "no" if check.outcome is Outcome.PASS else "held back" if check.advisory else "**yes**"
            yield f"| {check.name.removeprefix('retrain.')} | {holds} | {_cell(check.message)} |"


def _help(refit: Refit) -> str:
    lines = [f"### Would it help?\n\n{refit.message}."]
    if refit.judged:
        own = f", {refit.training:,} of them the champion's training rows" if refit.training else ""
        lines.append(
            f"The champion's pipeline was fitted again on {refit.fitted:,} rows{own}, and compared on the {refit.judged:,} newest rows"
            " whose outcome is known. It is evidence, not the challenger."
        )
        lines.append(
            "\n".join(
                [
                    "| check | outcome | |",
                    "|---|---|---|",
                    *(f"| {one.name} | {one.outcome} | {_cell(one.message)} |" for one in refit.checks),
                ]
            )
        )
    return "\n\n".join(lines)


def _windows(records: Sequence[Record], primary: str) -> str:
    rows = []
    for one in records:
        failed = ", ".join(f"`{found.part}`" for found in one.all("check") if found.word == "fail") or "–"
        metric = one.find("metric", primary)
        value = "–" if metric is None or metric.value is None else f"{metric.value:.3f}"
        rows.append(f"| {one.window.name} | {one.value('rows') or 0:,.0f} | {value} | {failed} |")
    return "\n".join([f"### Newest windows\n\n| window | rows | {primary} | failed |", "|---|---:|---:|---|", *rows])


def _cell(text: str) -> str:
    """Text as a Markdown table takes it: values of the data never become markup."""
    flat = " ".join(text.split())
    for sign in ("\\", "|", "`", "<", "[", "*", "_", "@", "#"):
        flat = flat.replace(sign, f"\\{sign}")
    return flat
