"""Simulated rollouts: how often an equal challenger is sent back, and how soon a worse one (`-- --write` writes docs/rollouts.md).

aa: so many rollouts of two equal versions through the state machine, with the plan of params.yaml. ends: how rollouts of worse
ones end. detection: at weight 10, after how many of its requests the median challenger is sent back.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.pool import Pool

from benchmarks._common import ROOT, table
from seatrial.forecast import BASE, Forecast, forecast
from seatrial.forecast_plot import forecast_plot
from seatrial.params_rollout import Rollout
from seatrial.plan import Plan
from seatrial.project import Project

START, END = "<!-- measured: nox -s bench -- forecast --write -->", "<!-- /measured -->"
RATIOS = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
DETECTED = (2.0, 3.0, 5.0, 10.0)
RATE = 300.0
PARTS = 20
NEAR = 0.10
RECORD = ROOT / "docs/rollouts.json"


def main() -> None:
    """Simulate, print the tables, and write them where that is asked for; exit 1 where a figure is not kept."""
    options = _options()
    plan = Plan.of(Project.find(ROOT, env={}).settings.rollout)
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        equal = _spread(pool, plan, (1.0,), options.rollouts, seed=0, looks=20)
        worse = _spread(pool, plan, RATIOS[1:], options.rollouts // 10, seed=100, looks=20)
        alone = Plan.of(Rollout(steps=(10, 100), min_requests=5000, step_deadline_s=1e6))
        found = _spread(pool, alone, DETECTED, options.rollouts // 10, seed=200, looks=500)
    rows = _rows(equal[0], found, options.rollouts)
    table("Simulated rollouts", ["figure", "measured", "limit", "kept"], rows)
    if options.write:
        _write([*equal, *worse], found, options.rollouts)
    if any(row[-1] == "NO" for row in rows):
        sys.exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=10_000, help="of two equal versions; a tenth of each worse one (default: 10,000)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write tables and plot into docs/")
    options = parser.parse_args()
    if options.rollouts < 10 * PARTS:
        parser.error(f"--rollouts {options.rollouts}: at least {10 * PARTS}")
    return options


def _spread(pool: Pool, plan: Plan, ratios: Sequence[float], rollouts: int, *, seed: int, looks: int) -> list[Forecast]:
    """The rollouts in parts of equal size over the processes, each with a seed of its own."""
    return _merged(pool.starmap(_part, [(plan, ratios, rollouts // PARTS, seed + part, looks) for part in range(PARTS)]))


def _part(plan: Plan, ratios: Sequence[float], rollouts: int, seed: int, looks: int) -> list[Forecast]:
    return list(forecast(plan, ratios=ratios, base=BASE, rate=RATE, rollouts=rollouts, seed=seed, looks=looks))


def _merged(parts: Sequence[Sequence[Forecast]]) -> list[Forecast]:
    """Parts of equal size as one: means of shares, and of medians where there are any."""
    merged = []
    for group in zip(*parts, strict=True):
        shares = {name: sum(getattr(one, name) for one in group) / len(group) for name in ("promoted", "failed", "undecided")}
        medians = [one.challenger for one in group if one.challenger is not None]
        merged.append(replace(group[0], **shares, challenger=sum(medians) / len(medians) if medians else None))
    return merged


def _rows(equal: Forecast, found: Sequence[Forecast], rollouts: int) -> list[list[str]]:
    rows = [[f"equal versions sent back, of {rollouts:,}", f"{equal.failed:.2%}", "at most 1 %", "yes" if equal.failed <= 0.01 else "NO"]]
    rows += [["equal versions promoted", f"{equal.promoted:.2%}", "–", "–"]]
    known = {float(ratio): count for ratio, count in json.loads(RECORD.read_bytes())["detection"].items()} if RECORD.exists() else {}
    for one in found:
        told, before = one.challenger or float("nan"), known.get(one.ratio)
        kept = "–" if before is None else "yes" if abs(told - before) <= NEAR * before else "NO"
        limit = "–" if before is None else f"{before:.0f} ± 10 %"
        rows.append([f"{one.ratio:g} × failures at weight 10: its requests until sent back (median)", f"{told:.0f}", limit, kept])
    return rows


def _write(ends: Sequence[Forecast], found: Sequence[Forecast], rollouts: int) -> None:
    """The tables between their marks, the plot, and the figures that the next run is compared with."""
    page = ROOT / "docs/rollouts.md"
    head, _, rest = page.read_text().partition(START)
    _, _, after = rest.partition(END)
    lines = ["| fails | promoted | undecided | sent back | at weight 10, sent back after (median) |", "|---|---|---|---|---|"]
    alone = {one.ratio: one.challenger for one in found}
    for one in ends:
        told = "–" if alone.get(one.ratio) is None else f"{alone[one.ratio]:,.0f} of its requests"
        lines.append(f"| {one.ratio:g} × | {one.promoted:.1%} | {one.undecided:.1%} | {one.failed:.1%} | {told} |")
    page.write_text(f"{head}{START}\n\n" + "\n".join(lines) + f"\n\n{END}{after}")
    (ROOT / "docs/rollouts.svg").write_text(forecast_plot(ends, base=BASE, rollouts=rollouts // 10))
    RECORD.write_text(json.dumps({"detection": {f"{one.ratio:g}": round(one.challenger or 0) for one in found}}, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
