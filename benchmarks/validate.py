"""The data test beside pandera, Great Expectations and a bare Polars scan, on rows drawn from the sample (`-- --rows N`).

Each tool runs in a process of its own on the same Parquet files, one after the other; imports are not counted. Great
Expectations runs on at most a million rows, in an environment of its own, and is scaled.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import _table
from benchmarks._common import ROOT, plain_environment, table

PARTS = 50
MILLION = 1_000_000
PARAMS = """\
model: {name: synthetic}
data: {raw: table, target: churn, positive: "Yes", id: customer_id, groups: [female, senior_citizen]}
"""
RULES = ("range", "allowed", "pattern")


def main() -> None:
    """Measure everything that is published."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        _compare(Path(scratch), options.rows, gx=not options.no_gx)
        _memory(Path(scratch), options.rows)
        _one_part(Path(scratch), options.rows)
    _sample()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10 * MILLION)
    parser.add_argument("--scratch", help="where the tables are written (default: the system's temporary folder)")
    parser.add_argument("--no-gx", action="store_true", help="leave out Great Expectations, which has to be installed first")
    return parser.parse_args()


def _compare(scratch: Path, rows: int, *, gx: bool) -> None:
    whole = project(scratch / "whole", rows)
    ours = run_ours(whole)
    scan = _peer("polars", whole)
    frames = _peer("pandera", whole)
    lines = [
        _line("seatrial validate", rows, ours["seconds"], ours["seconds"], ours["peak_mib"]),
        _line("Polars streaming scan", rows, scan["seconds"], ours["seconds"], scan["peak_mib"]),
        _line("pandera on pandas", rows, frames["seconds"], ours["seconds"], frames["peak_mib"]),
    ]
    if gx:
        small = project(scratch / "small", min(rows, MILLION))
        other = _peer("gx", small, python=_gx_environment(scratch))
        scaled = other["seconds"] * rows / min(rows, MILLION)
        lines.append(_line(f"Great Expectations ({min(rows, MILLION):,} rows, scaled)", rows, scaled, ours["seconds"], other["peak_mib"]))
    table("The whole data test, every check and the profile", ["tool", "rows", "seconds", "of ours", "peak MiB"], lines)


def _line(name: str, rows: int, seconds: float, ours: float, peak: float) -> list[str]:
    return [name, f"{rows:,}", f"{seconds:.1f}", f"{seconds / ours:.2f}", f"{peak:.0f}"]


def _memory(scratch: Path, rows: int) -> None:
    found = [(size, run_ours(project(scratch / f"rows{size}", size))) for size in (rows, 3 * rows)]
    first = found[0][1]["peak_mib"]
    lines = [[f"{size:,}", f"{one['seconds']:.1f}", f"{one['peak_mib']:.0f}", f"{one['peak_mib'] / first:.2f}"] for size, one in found]
    table("Memory does not grow with rows (one file)", ["rows", "seconds", "peak MiB", "of the first"], lines)


def _one_part(scratch: Path, rows: int) -> None:
    folder = project(scratch / "parts", rows, parts=PARTS)
    full = run_ours(folder)["seconds"]
    _table.write(folder / "table/part-07.parquet", rows // PARTS, seed=999, first=10 * rows)
    again = run_ours(folder)["seconds"]
    lines = [["all parts new", f"{full:.2f}", "1"], ["one part changed", f"{again:.2f}", f"1/{full / again:.1f}"]]
    table(f"One changed part of {PARTS}", ["run", "seconds", "of the full time"], lines)


def _sample() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("params.yaml", "data/contract.yaml", "data/reference.json", "data/raw/telco_churn.csv"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
        found = run_ours(folder)
    table("The sample file", ["seconds", "checks", "outcome"], [[f"{found['seconds']:.2f}", str(found["checks"]), found["outcome"]]])


def project(folder: Path, rows: int, *, parts: int = 1) -> Path:
    """A project around a synthetic table of so many rows in so many parts, its reference drawn from the same sample."""
    (folder / "data").mkdir(parents=True)
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "data/contract.yaml").write_text(_table.contract())
    for at in range(parts):
        share = rows // parts
        _table.write(folder / f"table/part-{at:02}.parquet", share, seed=at, first=at * share)
    (folder / "rules.json").write_text(json.dumps(_rules(folder / "data/contract.yaml")))
    _write_reference(folder)
    return folder


def _rules(path: Path) -> dict[str, dict[str, object]]:
    from seatrial.contract import load_contract

    columns = load_contract(path).columns.items()
    return {name: {key: getattr(column, key) for key in ("type", "nullable", "unique", *RULES)} for name, column in columns}


def _write_reference(folder: Path) -> None:
    """The profile of a small table drawn in the same way."""
    from seatrial.contract import load_contract
    from seatrial.project import Project
    from seatrial.scan import summarise
    from seatrial.sources import parts_of

    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch)
        (small / "params.yaml").write_text(PARAMS)
        _table.write(small / "table/part.parquet", 100_000, seed=12345)
        reader = Project(root=small, env={})
        contract = load_contract(folder / "data/contract.yaml")
        summary = summarise(parts_of(reader), contract, reader.settings.data, home=reader.home)
        summary.profile().save(folder / "data/reference.json")


def run_ours(folder: Path) -> dict[str, float]:
    """One validation in a fresh process."""
    return _json([sys.executable, "-m", "benchmarks._validate_ours", str(folder)])


def _peer(name: str, folder: Path, *, python: str = sys.executable) -> dict[str, float]:
    return _json([python, str(ROOT / "benchmarks/_validate_peers.py"), name, str(folder)])


def _json(command: Sequence[str]) -> dict[str, float]:
    ended = subprocess.run(command, cwd=ROOT, env=plain_environment(), capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stderr[-3000:]}")
    answer: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return answer


def _gx_environment(scratch: Path) -> str:
    """An environment of its own for Great Expectations, whose dependencies are not ours."""
    folder = scratch / "gx"
    subprocess.run([sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(folder / "bin/python")]
    subprocess.run([*install, "great_expectations>=1.9,<2", "pandas<3", "pyarrow"], check=True)
    return str(folder / "bin/python")


if __name__ == "__main__":
    main()
