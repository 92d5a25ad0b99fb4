"""Simulate months of live traffic in minutes: the sample replayed through a scratch endpoint by the story of data/story.yaml.

    nox -s simulate -- --months 12
    seatrial simulate --story other.yaml --months 3
    seatrial simulate --write            # and renew the picture and the story in docs/

Nothing of the project's endpoint, registry or state is touched; every row is labelled as simulated. Writes metrics/simulate.json and
reports/simulate.html. Exit 0 where every alarm did what the story expects, 1 where one did not, and then it is named.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import UsageError
from seatrial.files import pretty_json, write_atomic
from seatrial.project import Project

if TYPE_CHECKING:
    import polars as pl

    from seatrial.contract import Contract
    from seatrial.simulation.report import Simulated
    from seatrial.simulation.story import Told

STORY = "data/story.yaml"
DOCS = "docs/operations.md"
PICTURE = "docs/simulation.svg"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--months", type=_months, help="how many months of the story (default: all of them)")
    parser.add_argument("--story", type=Path, metavar="FILE", help=f"what happens, and what has to fire (default: {STORY})")
    parser.add_argument("--write", action="store_true", help=f"where all is as expected, renew {DOCS} and {PICTURE}")


def _months(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of months: 1, 2, …")
    return int(text)


def run(project: Project, options: argparse.Namespace) -> int:
    """Simulate, and print what it came to; 0 or 1."""
    from seatrial.simulation.report import as_json, print_year, simulation_page
    from seatrial.simulation.story import load_story

    project.settings.require_binary("simulate")
    told = load_story(options.story or project.root / STORY)
    months = _reached(told, options)
    found = simulate(project, told, months)
    write_atomic(project.verdict("simulate"), pretty_json(as_json(found)))
    write_atomic(project.report("simulate.html"), simulation_page(found).encode())
    print_year(found, terminal=sys.stdout.isatty())
    if found.problems:
        return 1
    if options.write:
        write_docs(project.root, found)
        print(f"simulate: wrote {DOCS} and {PICTURE}")
    return 0


def _reached(told: Told, options: argparse.Namespace) -> int:
    """How many months; UsageError where the story has fewer, or the docs would tell half of it."""
    whole = told.story.months
    months = int(options.months or whole)
    if months > whole:
        raise UsageError(f"--months {months}: the story of {told.located.path.name} has {whole} months")
    if options.write and months < whole:
        raise UsageError(f"--write tells the whole story, --months {months} is a part of its {whole}", hint="leave out --months")
    return months


def simulate(project: Project, told: Told, months: int) -> Simulated:
    """Run so many months of a story in a scratch site.

    Raises ParamsError, UsageError or DataError, before anything is started, where the story, the table and the project do not fit.
    """
    from seatrial.contract import check_roles, load_contract
    from seatrial.simulation.report import Simulated
    from seatrial.simulation.site import simulated_settings, site
    from seatrial.simulation.story import check_story
    from seatrial.simulation.world import deal
    from seatrial.simulation.year import Year

    settings, values = simulated_settings(project, told)
    if project.settings.data.id is None:
        raise UsageError("rows have no id: data.id of params.yaml is null", hint="outcomes find their answers by it; name a column")
    contract = load_contract(project.contract)
    check_roles(contract, project.settings.data)
    check_story(told, contract, settings)
    dealt = deal(_sample(project, contract), told.story)
    out = sys.stdout  # what the commands print meanwhile goes elsewhere
    with site(project, values) as made:
        year = Year(made, told.story, dealt, say=lambda words: print(f"simulate: {words}", file=out, flush=True))
        return Simulated(story=told.story, settings=settings, year=year.run(months))


def _sample(project: Project, contract: Contract) -> pl.DataFrame:
    """The rows with a target; what reading them notes about files stays out of the project's state."""
    from seatrial.tables import read_typed

    with tempfile.TemporaryDirectory() as scratch:
        apart = replace(project, env={**project.env, "SEATRIAL_HOME": scratch})
        return read_typed(apart, contract).drop_nulls(project.settings.data.target)


def write_docs(root: Path, found: Simulated) -> None:
    """Put the story into docs/operations.md and its picture beside it; DataError where the page is not there or has no place for it."""
    from seatrial.marked import replaced
    from seatrial.simulation.report import END, START, markdown, picture

    page = root / DOCS
    text = page.read_text() if page.exists() else ""
    write_atomic(page, replaced(text, START, END, markdown(found), place=DOCS).encode())
    write_atomic(root / PICTURE, picture(found).encode())
