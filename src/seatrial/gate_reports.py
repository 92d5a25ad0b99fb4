"""What the gate leaves for people and CI: reports/gate.html, gate.md and gate.xml, and a table in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from seatrial.files import write_atomic
from seatrial.project import Project
from seatrial.verdict import Verdict

if TYPE_CHECKING:
    import polars as pl

    from seatrial.gate import Evidence
    from seatrial.gate_figures import Comparison


def write_reports(project: Project, verdict: Verdict, evidence: Evidence) -> None:
    """Write the three reports about a verdict that was measured just now, and print its comparison."""
    from seatrial.gate_comment import print_comparison
    from seatrial.gate_figures import compare
    from seatrial.gate_page import gate_page

    policy = project.settings.gate
    confidence = float(policy.confidence)
    found = compare(verdict, evidence, confidence=confidence, resamples=policy.resamples, seed=policy.seed)
    html = gate_page(verdict, evidence, _held_out(project), confidence=confidence, comparison=found)
    _write(project, verdict, html, found)
    print_comparison(found)


def keep_reports(project: Project, verdict: Verdict) -> None:
    """Reports of a verdict that was answered from its record: those that are there, if they are about it; else without evidence."""
    path = project.report("gate.html")
    try:
        known = verdict.digest in path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        known = False
    if not known:
        from seatrial.gate_page import gate_page

        _write(project, verdict, gate_page(verdict, None, confidence=float(project.settings.gate.confidence)), None)


def _write(project: Project, verdict: Verdict, html: str, found: Comparison | None) -> None:
    from seatrial.gate_comment import gate_markdown
    from seatrial.junit import to_junit

    write_atomic(project.report("gate.md"), gate_markdown(verdict, found).encode())
    write_atomic(project.report("gate.xml"), to_junit(verdict))
    write_atomic(project.report("gate.html"), html.encode())


def _held_out(project: Project) -> Sequence[Mapping[str, object]]:
    """The held-out rows without the target, each read when it is asked for."""
    from seatrial.stages import read_rows

    return _Rows(read_rows(project.test_data).drop(project.settings.data.target, strict=False))


class _Rows(Sequence[Mapping[str, object]]):
    """A table as a sequence of rows by column name."""

    def __init__(self, table: pl.DataFrame) -> None:
        self._table = table

    def __len__(self) -> int:
        return self._table.height

    @overload
    def __getitem__(self, at: int) -> Mapping[str, object]: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Mapping[str, object]]: ...

    def __getitem__(self, at: int | slice) -> Any:
        return _Rows(self._table[at]) if isinstance(at, slice) else self._table.row(at, named=True)
