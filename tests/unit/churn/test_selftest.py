"""The session `selftest`: exit codes, what it prints, what it writes, and the same rates from any number of processes."""

import multiprocessing
import shutil
import time
from dataclasses import replace

import pytest

from churn import selftest
from churn.faults import Sample
from churn.selftest import curve_jobs, main, measured, run_jobs
from seatrial.metrics import Scores
from seatrial.selftest import STEPS, Candidate, curve_metrics
from seatrial.selftest_report import END, START
from tests.unit.churn.samples import trained_project


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return trained_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    """A copy of the small project as the working directory."""
    shutil.copytree(trained.root, tmp_path / "project")
    (tmp_path / "project/docs").mkdir()
    (tmp_path / "project/docs/selftest.md").write_text(f"# Page\n\n{START}\n{END}\n\nProse\n")
    monkeypatch.chdir(tmp_path / "project")
    return type(trained)(root=tmp_path / "project", env={})


@pytest.fixture(scope="module")
def rates(trained):
    return measured(trained, draws=2, curve_draws=3, seed=0, workers=1)


QUICK = ["--draws", "1", "--curve-draws", "1", "--workers", "1"]


def test_all_named_models_and_all_distances_are_measured(rates):
    named = [rate.name for rate in rates if rate.metric is None]
    assert {"seed", "bootstrap 1", "logistic", "shuffled", "constant", "swapped", "off by one", "stale encoder", "unit"} <= set(named)
    assert all(rate.draws == 2 for rate in rates if rate.metric is None)
    distances = [rate.distance for rate in rates if rate.metric == "roc_auc" and rate.distance > 0.002]
    assert len(distances) == len(STEPS)
    assert all(rate.predicted is not None for rate in rates if rate.metric)


def test_a_model_on_shuffled_answers_is_caught(rates):
    assert next(rate for rate in rates if rate.name == "swapped").passed == 0


def test_the_margin_gets_more_draws_than_the_other_distances(trained):
    jobs = list(curve_jobs(Sample.of(trained).population(), [], draws=7, seed=0))
    more = [job.candidate.distance for job in jobs if job.draws == 35]
    assert more == [pytest.approx(0.05, abs=1e-4)]
    assert {job.draws for job in jobs} == {7, 35}


def test_a_better_model_is_measured_at_no_distance(trained):
    population = Sample.of(trained).population()
    better = Scores(probabilities=0.2 + 0.6 * population.labels, threshold=0.5)
    named = [Candidate(name="logistic", words="", probabilities=better.probabilities, threshold=0.5, expected="pass")]
    jobs = list(curve_jobs(population, named, draws=1, seed=0))
    assert len(jobs) == len(STEPS) + 1
    assert jobs[0].candidate.distance == pytest.approx(0, abs=1e-4)


def test_two_processes_give_the_rates_of_one(trained):
    jobs = list(curve_jobs(Sample.of(trained).population(), [], draws=20, seed=0))[:4]
    assert list(run_jobs(jobs, 2)) == list(run_jobs(jobs, 1))


def test_nobody_waits_for_jobs_that_were_interrupted(trained):
    jobs = list(curve_jobs(Sample.of(trained).population(), [], draws=20_000, seed=0))
    quick = replace(jobs[0], draws=1)
    running = run_jobs([quick, *jobs], 2)
    next(running)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        running.throw(KeyboardInterrupt())
    assert time.monotonic() - start < 5
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(("broken", "code"), [([], 0), (["a promise"], 1)])
def test_the_exit_code_says_whether_the_promises_hold(project, rates, monkeypatch, capsys, broken, code):
    monkeypatch.setattr(selftest, "measured", lambda *_, **__: rates)
    monkeypatch.setattr(selftest, "broken_promises", lambda *_: broken)
    assert main(QUICK) == code
    assert capsys.readouterr().out.splitlines()[-1].startswith("selftest: ")


def test_nothing_is_written_unless_it_is_asked_for(project, rates, monkeypatch):
    monkeypatch.setattr(selftest, "measured", lambda *_, **__: rates)
    before = (project.root / "docs/selftest.md").read_text()
    main(QUICK)
    assert (project.root / "docs/selftest.md").read_text() == before
    assert not (project.root / "docs/selftest.svg").exists()
    main([*QUICK, "--write"])
    page = (project.root / "docs/selftest.md").read_text()
    assert "| always the base rate |" in page
    assert page.endswith("Prose\n")
    assert (project.root / "docs/selftest.svg").read_text().startswith("<svg")


def test_without_a_bundle_one_sentence_says_what_to_do(project, capsys):
    shutil.rmtree(project.bundle)
    assert main(QUICK) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "Traceback" not in said


def test_outside_a_project_it_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    assert main(QUICK) == 2
    assert "params.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--draws", "0"], ["--draws", "many"], ["--curve-draws", "-1"], ["--workers", "0"], ["--unknown"]])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2


def test_only_metrics_with_a_formula_have_a_curve(trained):
    assert curve_metrics(trained.settings.gate) == ("roc_auc",)
