"""Rivals: the models that a challenger is compared with, the champion and the anchor, and what there is to say where one cannot be.

The anchor is the best model so far. Beside the champion, it keeps a series of releases, each within the margin of the one
before it, from leading downhill.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seatrial.checks.behaviour import ANSWERS
from seatrial.checks.comparison import Question, anchor_check, answer, look_check, metric_questions
from seatrial.checks.performance import Level
from seatrial.checks.slices import slice_questions, small_slices
from seatrial.gate_tasks import Rows, count_rows
from seatrial.metrics import Answers, Targets
from seatrial.params import Gate, MetricPolicy
from seatrial.verdict import Check, Outcome

_Pairs = tuple[Targets, Answers, Answers, NDArray[np.bool_]]
"""Labels, the challenger's and another model's answers on the same rows, and which of the held-out rows those are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rival:
    """What is known about another model: its scores on the same rows, or why there are none.

    `problem` says in words why it cannot be scored, `gone` that its bytes are lost. `learned` tells of each held-out row
    whether the model was trained on it (None where its bundle does not say). `only_challenger` and `only_champion` are
    inputs that one of the two reads and the other does not. `same_bundle` is true where the digests are equal.
    """

    scores: Answers | None = None
    problem: str | None = None
    gone: bool = False
    same_bundle: bool = False
    learned: NDArray[np.bool_] | None = None
    only_challenger: tuple[str, ...] = ()
    only_champion: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """Everybody who is compared, on the same held-out rows in the same order; `slices` maps a column to each row's slice.

    `look` counts how many bundles were judged on these rows, this one included.
    """

    labels: Targets
    challenger: Answers
    champion: Rival | None
    anchor: Rival | None
    slices: Mapping[str, Sequence[str]]
    look: int = 1


def rival_checks(policy: Gate, field: Field, environment: str) -> Iterator[Check]:
    """Which champion there is to compare with, and which anchor: each case has its own name and sentence."""
    champion, anchor = field.champion, field.anchor
    if champion is None:
        yield _first_release(policy, environment)
    else:
        yield from _unreadable("champion", champion, field)
        if champion.only_challenger or champion.only_champion:
            yield _other_inputs(champion)
    if anchor is not None and not anchor.same_bundle:
        yield from _unreadable("anchor", anchor, field)


def _first_release(policy: Gate, environment: str) -> Check:
    name = "champion.first_release"
    if environment == "local" or policy.first_release:
        return Check(name=name, outcome=Outcome.PASS, message="first release: floors only, there is no champion to compare with")
    message = (
        f"the registry of {environment!r} has no champion; if this is its first release, commit gate.first_release: true for it, "
        "otherwise look at MLFLOW_TRACKING_URI"
    )
    return Check(name=name, outcome=Outcome.INCONCLUSIVE, message=message)


def _unreadable(who: str, rival: Rival, field: Field) -> Iterator[Check]:
    remedy = "" if who == "champion" else "; set the alias anchor to a version that can be read, or delete it"
    if rival.gone:
        message = f"the {who} stands in the registry, but its bytes are gone, so nothing can be compared: {rival.problem}{remedy}"
        yield Check(name=f"{who}.bytes_gone", outcome=Outcome.ERROR, message=message)
    elif rival.scores is None or rival.problem is not None:
        message = f"the {who} cannot be scored, so nothing can be compared: {rival.problem or 'it gave no answers'}{remedy}"
        yield Check(name=f"{who}.unreadable", outcome=Outcome.ERROR, message=message)
    elif comparable(rival, field.labels, field.challenger) is None:
        message = (
            f"the {who} cannot be compared with: {rival.scores.strange:,} of its {len(rival.scores.raw):,} answers "
            f"to {len(field.labels):,} rows are no {ANSWERS[rival.scores.task]}{remedy}"
        )
        yield Check(name=f"{who}.unreadable", outcome=Outcome.ERROR, message=message, observed=rival.scores.strange, limit=0)


def _other_inputs(champion: Rival) -> Check:
    news = [f"it reads {_some(champion.only_challenger)}, which the champion does not"] if champion.only_challenger else []
    news += [f"the champion reads {_some(champion.only_champion)}, which it does not"] if champion.only_champion else []
    message = f"other inputs than the champion's: {'; '.join(news)}; both were scored on the same rows"
    count = len(champion.only_challenger) + len(champion.only_champion)
    return Check(name="champion.other_inputs", outcome=Outcome.PASS, message=message, observed=count, advisory=True)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def comparable(rival: Rival | None, labels: Targets, challenger: Answers) -> Answers | None:
    """A rival's scores, where they are to the same rows, of the same task and shape as the challenger's, and none is strange."""
    if rival is None or rival.scores is None or rival.problem is not None or rival.same_bundle:
        return None
    scores, shape = rival.scores, (len(labels), *challenger.raw.shape[1:])
    return scores if scores.task == challenger.task and scores.raw.shape == shape and not scores.strange else None


def compared(policy: Gate, primary: str, field: Field, level: Level) -> tuple[Check, ...]:
    """Champion, anchor and slices: every comparison that can be made, and what keeps the others from being made."""
    said: list[Check] = []
    beside = {
        name: _unlearned(name, rival, policy, field, said) for name, rival in (("champion", field.champion), ("anchor", field.anchor))
    }
    champion, anchor = (_against(name, known, policy, level) for name, known in beside.items())
    slices = _slices(policy, primary, field, beside["champion"], level, said) if champion else []
    checks = answer([*champion, *anchor, *slices], level)
    looks = [look_check(champion[0], field.look, level)] if champion else []
    return (*said, *checks, _anchor(primary, field, beside["anchor" if field.anchor else "champion"], level), *looks)


def _against(name: str, known: _Pairs | None, policy: Gate, level: Level) -> list[Question]:
    return [] if known is None else metric_questions(policy.metrics, *known[:3], level, name=name)


def _slices(policy: Gate, primary: str, field: Field, known: _Pairs | None, level: Level, said: list[Check]) -> list[Question]:
    if known is None:
        return []
    labels, challenger, champion, kept = known
    slices = {column: [value for value, keep in zip(values, kept, strict=True) if keep] for column, values in field.slices.items()}
    said.extend(small_slices(policy.slices, labels, slices, challenger))
    return slice_questions(policy.slices, primary, labels, slices, challenger, champion, level)


def _unlearned(name: str, rival: Rival | None, policy: Gate, field: Field, said: list[Check]) -> _Pairs | None:
    """Labels and both scores on the rows that the rival was not trained on (on the others it knows the answers), and which those are."""
    scores = comparable(rival, field.labels, field.challenger)
    if rival is None or scores is None:
        return None
    kept = np.ones(len(field.labels), dtype=bool) if rival.learned is None else ~rival.learned
    if kept.all():
        return field.labels, field.challenger, scores, kept
    check = _trained_on(name, policy, count_rows(field.labels[kept], field.challenger), int((~kept).sum()))
    said.append(check)
    return (field.labels[kept], field.challenger.only(kept), scores.only(kept), kept) if check.outcome is Outcome.PASS else None


def _trained_on(name: str, policy: Gate, left: Rows, learned: int) -> Check:
    """Whether enough rows are left to compare on."""
    message = f"{learned:,} held-out rows were trained on by the {name} and are left out of the comparison; {left.count:,} are left"
    enough = left.enough(policy)
    if not enough:
        message = f"{message}: too few ({left.needed(policy)})"
    outcome = Outcome.PASS if enough else Outcome.INCONCLUSIVE
    return Check(name=f"{name}.trained_on", outcome=outcome, message=message, observed=left.count, limit=policy.min_test_rows)


def _anchor(primary: str, field: Field, known: _Pairs | None, level: Level) -> Check:
    """Whether the anchor moves here once the challenger is promoted; `known` are the pairs with it, or with the champion in its place."""
    if field.champion is None and field.anchor is None:
        return anchor_check(None, level, standing="there is no anchor yet; the first version that is promoted becomes it")
    if field.anchor is not None and field.anchor.same_bundle:
        return anchor_check(None, level, standing="this bundle is the anchor, the best model so far")
    standing = "the anchor is the best model so far" if field.anchor else "the champion is the anchor, the best model so far"
    if known is None:
        return anchor_check(None, level, standing=f"{standing}; it could not be compared with")
    asked = {primary: MetricPolicy(margin=0)}
    return anchor_check(metric_questions(asked, *known[:3], level, name="anchor")[0], level, standing=standing)
