"""Test the gate itself: models of known quality, and how often the gate lets them through (`nox -s selftest`)."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from churn.faults import Sample, recipes
from seatrial.errors import SeatrialError
from seatrial.files import write_atomic
from seatrial.metrics import Scores
from seatrial.params import Gate
from seatrial.project import Project
from seatrial.selftest import STEPS, Candidate, Population, Rate, broken_promises, curve_metrics, degraded, measure
from seatrial.selftest_plot import power_plot
from seatrial.selftest_report import markdown, print_rates, with_measured

DRAWS = 40
CURVE_DRAWS = 2_000
AT_MARGIN = 5
"""How many times more draws the candidates next to the margin get: that share is promised to a percent."""
AS_GOOD = "logistic"
"""The named model that is better than the champion: noise makes it exactly as good."""
EVERY = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """One candidate to be measured."""

    population: Population
    candidate: Candidate
    draws: int
    seed: int

    def run(self) -> Rate:
        """Measure it."""
        return measure(self.population, self.candidate, draws=self.draws, seed=self.seed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the page if asked; 0 where the promises hold, 1 where one is broken, 2 for what somebody has to mend."""
    options = _parser().parse_args(arguments)
    try:
        project = Project.find(Path.cwd(), environment="local")
        rates = measured(project, draws=options.draws, curve_draws=options.curve_draws, seed=options.seed, workers=options.workers)
        policy = project.settings.gate
        if options.write:
            write_page(project.root / "docs", rates, policy)
    except SeatrialError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print_rates(rates, policy, terminal=sys.stdout.isatty())
    return 1 if broken_promises(rates, policy) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nox -s selftest --", description="Test the gate itself with models of known quality.")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/selftest.md, and docs/selftest.svg")
    parser.add_argument("--draws", type=_count, default=DRAWS, help="test sets for each named model (%(default)s)")
    parser.add_argument("--curve-draws", type=_count, default=CURVE_DRAWS, help="test sets for each known distance (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the test sets (%(default)s)")
    parser.add_argument("--workers", type=_count, default=os.cpu_count() or 1, help="processes (%(default)s)")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def measured(project: Project, *, draws: int, curve_draws: int, seed: int, workers: int) -> list[Rate]:
    """The rates of all named models and of all known distances."""
    sample = Sample.of(project)
    population = sample.population()
    named = list(_named(sample))
    jobs = [Job(population=population, candidate=one, draws=draws, seed=seed) for one in named]
    jobs += curve_jobs(population, named, draws=curve_draws, seed=seed)
    with _progress(len(jobs), "asking the gate") as tell:
        rates = []
        for rate in run_jobs(jobs, workers):
            rates.append(rate)
            tell(rate.words)
    return rates


def _named(sample: Sample) -> Iterator[Candidate]:
    """Train or ask one after the other, each in a scratch folder of its own."""
    chosen = recipes(sample)
    with _progress(len(chosen), "making models") as tell:
        for recipe in chosen:
            with tempfile.TemporaryDirectory() as scratch:
                yield recipe.candidate(sample, Path(scratch))
            tell(recipe.words)


def curve_jobs(population: Population, named: Sequence[Candidate], *, draws: int, seed: int) -> Iterator[Job]:
    """The champion with noise at each known distance, and a better model with noise at distance 0."""
    policy = population.policy
    better = [one.scores for one in named if one.name == AS_GOOD]
    for metric in curve_metrics(policy):
        margin = float(policy.metrics[metric].margin or 0)
        for candidate in _at_distances(population, metric, margin, better, seed):
            times = AT_MARGIN if abs((candidate.distance or 0) / margin - 1) < 0.03 else 1
            yield Job(population=population, candidate=candidate, draws=times * draws, seed=seed)


def _at_distances(population: Population, metric: str, margin: float, better: Iterable[Scores], seed: int) -> Iterator[Candidate]:
    for base in better:
        yield from degraded(population, metric, base, [0.0], seed=seed)
    yield from degraded(population, metric, population.champion, [step * margin for step in STEPS], seed=seed)


def run_jobs(jobs: Sequence[Job], workers: int) -> Iterator[Rate]:
    """The rates in the order of the jobs, from as many processes as asked for."""
    if workers == 1:
        yield from map(Job.run, jobs)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # A fresh interpreter each: the trainings have left threads in this one, which a fork would not survive.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare_worker)
    try:
        yield from pool.map(Job.run, jobs)
    except BaseException:
        for worker in multiprocessing.active_children():
            worker.terminate()  # a job takes many seconds, and nobody waits for it any more
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """One thread, as there are as many processes as processors and a sum of floats depends on it; Ctrl-C is the parent's to tell of."""
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threadpool_limits(limits=1)


def write_page(docs: Path, rates: Sequence[Rate], policy: Gate) -> None:
    """Put the tables into docs/selftest.md and the plot beside it; DataError where the page is not there or has no place for them."""
    page = docs / "selftest.md"
    text = page.read_text() if page.exists() else ""
    margins = {metric: float(policy.metrics[metric].margin or 0) for metric in curve_metrics(policy)}
    write_atomic(page, with_measured(text, markdown(rates, policy)).encode())
    write_atomic(docs / "selftest.svg", power_plot(rates, margins).encode())


@contextmanager
def _progress(total: int, label: str) -> Iterator[Callable[[str], None]]:
    """Give a function to be called with what was done last: a bar on standard error, or a line every five seconds off a terminal."""
    if not sys.stderr.isatty():
        yield _lines(total, label)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda _: bar.advance(task)


def _lines(total: int, label: str) -> Callable[[str], None]:
    count, due = 0, time.monotonic() + EVERY

    def tell(words: str) -> None:
        nonlocal count, due
        count += 1
        if time.monotonic() >= due:
            print(f"{label}: {count} of {total}, last: {words}", file=sys.stderr, flush=True)
            due = time.monotonic() + EVERY

    return tell


if __name__ == "__main__":
    sys.exit(main())
