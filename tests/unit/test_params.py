"""params.yaml: what is refused, with which words, and how an environment is laid over the rest."""

from pathlib import Path

import pytest
import yaml

from seatrial.errors import ParamsError, UsageError
from seatrial.params import load_settings

ROOT = Path(__file__).parents[2]
SMALL = "model: {name: m}\ndata: {raw: t.csv, target: bought}\n"


def settings(tmp_path, text, environment="local"):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return load_settings(path, environment)


def problems(tmp_path, text):
    with pytest.raises(ParamsError) as raised:
        settings(tmp_path, text)
    return raised.value.problems


def test_the_repository_s_own_file_is_read_in_every_environment():
    for name in ("local", *yaml.safe_load((ROOT / "params.yaml").read_text())["environments"]):
        assert load_settings(ROOT / "params.yaml", name).environment == name


def test_name_and_table_are_enough(tmp_path):
    found = settings(tmp_path, SMALL)
    assert (found.model.primary, found.rollout.port, found.gate.metrics, found.environment) == ("roc_auc", 8080, {}, "local")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("trian: {max_iter: 3}", "params.yaml:3: trian: unknown key (value {'max_iter': 3}); did you mean 'train'?"),
        ("train: {max_itre: 3}", "params.yaml:3: train.max_itre: unknown key (value 3); did you mean 'max_iter'?"),
        ("gate: {metrics: {f1: {flor: 0.5}}}", "params.yaml:3: gate.metrics.f1.flor: unknown key (value 0.5); did you mean 'floor'?"),
        (
            "diff: {tolerances: {f2: {absolute: 0.5}}}",
            "params.yaml:3: diff.tolerances.f2: 'f2' is no metric of a binary task; did you mean 'f1'?",
        ),
        (
            "diff: {tolerances: {f1: {direction: higher}}}",
            "params.yaml:3: diff.tolerances.f1: write absolute, relative or both: without either, nothing is asked",
        ),
        (
            "diff: {tolerances: {f1: {absolut: 0.5}}}",
            "params.yaml:3: diff.tolerances.f1.absolut: unknown key (value 0.5); did you mean 'absolute'?",
        ),
        ("gate: {metrics: {f2: {floor: 0.5}}}", "params.yaml:3: gate.metrics.f2: 'f2' is no metric of a binary task; did you mean 'f1'?"),
        ("monitor: {drift: {numeric: {metod: ks}}}", "monitor.drift.numeric.metod: unknown key (value 'ks'); did you mean 'method'?"),
        ("rollout: {replay: {speed: 3}}", "rollout.replay.speed: unknown key (value 3); known are rate"),
        ("rollout:\n  freeze:\n    - {sinse: Fri 12:00, until: Mon 08:00}", "params.yaml:5: rollout.freeze.0.sinse: unknown key"),
        ("rollout: {freeze: 3}", "params.yaml:3: rollout.freeze: expected a list, found 3"),
    ],
)
def test_a_typo_is_refused_with_the_nearest_known_key(tmp_path, line, words):
    assert any(words in problem for problem in problems(tmp_path, SMALL + line + "\n"))


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("train: {max_iter: many}", "train.max_iter", "'many'"),
        ("train: {max_iter: 1.5}", "train.max_iter", "1.5"),
        ("train: {max_iter: true}", "train.max_iter", "True"),
        ("train: {max_iter: 0}", "train.max_iter", "0"),
        ("train: {learning_rate: '0.1'}", "train.learning_rate", "'0.1'"),
        ("train: {learning_rate: .nan}", "train.learning_rate", "nan"),
        ("train: {learning_rate: .inf}", "train.learning_rate", "inf"),
        ("diff: {tolerances: {f1: {relative: .nan}}}", "diff.tolerances.f1.relative", "nan"),
        ("diff: {tolerances: {f1: {absolute: -0.1}}}", "diff.tolerances.f1.absolute", "-0.1"),
        ("diff: {tolerances: {f1: {absolute: 1, direction: up}}}", "diff.tolerances.f1.direction", "'up'"),
        ("gate: {metrics: {f1: {floor: .nan}}}", "gate.metrics.f1.floor", "nan"),
        ("train: {estimator: xgboost}", "train.estimator", "'xgboost'"),
        ("train: {threshold: 1}", "train.threshold", "1"),
        ("train: {seed: -1}", "train.seed", "-1"),
        ("train: [1]", "train", "[1]"),
        ("gate: {first_release: 'yes'}", "gate.first_release", "'yes'"),
        ("gate: {resamples: 1999}", "gate.resamples", "1999"),
        ("gate: {confidence: 1}", "gate.confidence", "1"),
        ("gate: {fairness: {absolute: hard}}", "gate.fairness.absolute", "'hard'"),
        ("rollout: {port: 65536}", "rollout.port", "65536"),
        ("rollout: {port: 0}", "rollout.port", "0"),
        ("rollout: {steps: [5, often]}", "rollout.steps.1", "'often'"),
        ("rollout: {steps: 5}", "rollout.steps", "5"),
        ("compute: {executor: dask}", "compute.executor", "'dask'"),
    ],
)
def test_a_wrong_type_or_value_is_refused_with_place_and_value(tmp_path, line, key, value):
    (problem,) = problems(tmp_path, SMALL + line + "\n")
    assert problem.startswith(f"params.yaml:3: {key}: expected ")
    assert problem.endswith(f", found {value}")


@pytest.mark.parametrize(("share", "fits"), [(0, False), (0.01, True), (0.99, True), (1, False)])
def test_a_share_lies_between_0_and_1(tmp_path, share, fits):
    text = f"{SMALL}preprocess: {{test_size: {share}}}\n"
    if fits:
        assert settings(tmp_path, text).preprocess.test_size == share
    else:
        assert "preprocess.test_size" in problems(tmp_path, text)[0]


@pytest.mark.parametrize("name", ["", "-m", "a b", "a/b", "../m", ".m"])
def test_a_name_that_is_no_name_in_a_registry_is_refused(tmp_path, name):
    (problem,) = problems(tmp_path, f'model: {{name: "{name}"}}\ndata: {{raw: t.csv, target: bought}}\n')
    assert problem.startswith("params.yaml:1: model.name: ")


@pytest.mark.parametrize("steps", ["[100, mirror]", "[mirror]", "[]", "[5, 25]", "[25, 5, 100]", "[5, 5, 100]", "[mirror, mirror, 100]"])
def test_steps_that_do_not_rise_to_100_are_refused(tmp_path, steps):
    (problem,) = problems(tmp_path, f"{SMALL}rollout:\n  steps: {steps}\n")
    assert problem.startswith("params.yaml:4: rollout.steps: ")


@pytest.mark.parametrize("steps", [("mirror", 5, 100), (100,), ("mirror", 100), (1, 2, 100)])
def test_steps_that_rise_to_100_are_taken(tmp_path, steps):
    assert settings(tmp_path, f"{SMALL}rollout: {{steps: [{', '.join(map(str, steps))}]}}\n").rollout.steps == steps


def test_what_is_missing_is_named(tmp_path):
    found = problems(tmp_path, "model: {}\ndata: {raw: t.csv}\n")
    assert [problem.partition(": ")[2] for problem in found] == ["model.name: missing; add it", "data.target: missing; add it"]


def test_all_problems_are_said_at_once(tmp_path):
    assert len(problems(tmp_path, SMALL + "train: {max_iter: x}\ngate: {resamples: 1}\nzzz: 1\n")) == 3


def test_a_bare_date_that_dvc_cannot_read_is_refused_and_a_quoted_one_taken(tmp_path):
    text = "model: {name: m}\ndata: {raw: t.csv, target: bought, snapshot: %s}\n"
    (problem,) = problems(tmp_path, text % "2026-11-01")
    assert 'in quotes, "2026-11-01"' in problem
    assert str(settings(tmp_path, text % '"2026-11-01"').data.snapshot) == "2026-11-01"


def test_a_file_that_is_missing_or_no_yaml_is_refused(tmp_path):
    with pytest.raises(ParamsError, match="there is no such file"):
        load_settings(tmp_path / "params.yaml")
    assert "not valid YAML" in problems(tmp_path, "model: [")[0]
    assert "a second time" in problems(tmp_path, SMALL + SMALL)[0]


OVERLAID = SMALL + "gate: {first_release: false, confidence: 0.9}\nrollout: {steps: [5, 100]}\nenvironments:\n"


def test_an_overlay_changes_its_own_keys_and_nothing_else(tmp_path):
    text = OVERLAID + "  production:\n    gate: {first_release: true}\n    rollout: {replay: null, steps: [mirror, 100]}\n"
    changed, base = settings(tmp_path, text, "production"), settings(tmp_path, text)
    assert (changed.gate.first_release, changed.gate.confidence) == (True, 0.9)
    assert (changed.rollout.replay, changed.rollout.steps) == (None, ("mirror", 100))
    assert (base.gate.first_release, base.rollout.steps) == (False, (5, 100))
    assert (changed.registered_model, base.registered_model) == ("m-production", "m")
    assert changed.gate_policy != base.gate_policy


def test_an_environment_that_the_file_does_not_name_is_refused_with_those_it_does(tmp_path):
    with pytest.raises(UsageError, match=r"no environment 'prod'\n.*local, production.*did you mean 'production'"):
        settings(tmp_path, OVERLAID + "  production: {}\n", "prod")


@pytest.mark.parametrize("section", ["model", "data", "preprocess", "train"])
def test_an_overlay_may_not_touch_what_dvc_reads(tmp_path, section):
    (problem,) = problems(tmp_path, OVERLAID + f"  staging:\n    {section}: {{seed: 1}}\n")
    assert problem.startswith(f"params.yaml:7: environments.staging.{section}: an environment may not change {section!r}")


def test_a_mistake_in_another_environment_is_found_with_its_own_line(tmp_path):
    (problem,) = problems(tmp_path, OVERLAID + "  production:\n    rollout: {prot: 80}\n")
    assert problem.startswith("params.yaml:7: rollout.prot: unknown key (value 80); did you mean 'port'?")


@pytest.mark.parametrize("text", ["  - production\n", "  production: 3\n"])
def test_environments_that_are_no_mapping_are_refused(tmp_path, text):
    (problem,) = problems(tmp_path, OVERLAID + text)
    assert "expected a mapping of names to sections" in problem


def test_an_environment_cannot_be_chosen_in_the_file(tmp_path):
    (problem,) = problems(tmp_path, SMALL + "environment: production\n")
    assert problem.startswith("params.yaml:3: environment: chosen by SEATRIAL_ENV or --env")


def test_the_gate_s_policy_is_another_one_when_it_or_the_groups_change(tmp_path):
    base = settings(tmp_path, SMALL).gate_policy
    assert settings(tmp_path, SMALL + "rollout: {port: 80}\n").gate_policy == base
    assert settings(tmp_path, SMALL + "gate: {max_flips: 0.1}\n").gate_policy != base
    assert settings(tmp_path, SMALL.replace("bought}", "bought, groups: [a]}")).gate_policy != base


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("encoding: utf-9", "'utf-9' is no known encoding"),
        ("raw: 'data/*.csv'", "'data/*.csv' is a glob"),
    ],
)
def test_a_table_that_cannot_be_described_so_is_refused_with_its_line(tmp_path, data, sentence):
    raw = "" if data.startswith("raw") else "raw: t.csv, "
    (tmp_path / "params.yaml").write_text(f"model: {{name: m}}\ndata: {{target: a, {raw}{data}}}\n")
    with pytest.raises(ParamsError, match=r"params\.yaml:2: data\.") as caught:
        load_settings(tmp_path / "params.yaml")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(("task", "metric"), [("multiclass", "macro_f1"), ("regression", "r2"), ("binary", "roc_auc")])
def test_each_task_has_its_metrics(tmp_path, task, metric):
    text = f"model: {{name: m, task: {task}, primary: {metric}}}\ndata: {{raw: t.csv, target: bought}}\n"
    assert settings(tmp_path, text + f"gate: {{metrics: {{{metric}: {{floor: 0.5}}}}}}\n").model.task == task
    other = "roc_auc" if task != "binary" else "mae"
    assert any(f"is no metric of a {task} task" in one for one in problems(tmp_path, text + f"gate: {{metrics: {{{other}: {{}}}}}}\n"))


@pytest.mark.parametrize(("task", "primary"), [("multiclass", "accuracy"), ("regression", "mae")])
def test_only_a_binary_task_has_a_positive_class(tmp_path, task, primary):
    text = f"model: {{name: m, task: {task}, primary: {primary}}}\ndata: {{raw: t.csv, target: bought, positive: x}}\n"
    assert problems(tmp_path, text) == (f"params.yaml:2: data.positive: a {task} task has no positive class; remove it",)


def test_what_knows_binary_tasks_only_says_so(tmp_path):
    assert settings(tmp_path, SMALL).require_binary("deploy") is None
    found = settings(tmp_path, "model: {name: m, task: regression, primary: mae}\ndata: {raw: t.csv, target: bought}\n")
    with pytest.raises(UsageError, match=r"deploy knows binary tasks only; model.task of params.yaml is regression"):
        found.require_binary("deploy")


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/", "s3://bucket/some/prefix"])
def test_the_log_can_go_to_an_object_store(tmp_path, uri):
    assert settings(tmp_path, f"{SMALL}monitor: {{log: {{uri: '{uri}'}}}}\n").monitor.log.uri == uri
    assert settings(tmp_path, SMALL).monitor.log.uri is None


@pytest.mark.parametrize("uri", ["bucket/prefix", "s3://", "s3:///prefix", "gs://bucket", "s3://bucket?x=1", ""])
def test_an_address_that_is_no_object_store_is_refused_with_its_line(tmp_path, uri):
    (problem,) = problems(tmp_path, f"{SMALL}monitor: {{log: {{uri: '{uri}'}}}}\n")
    assert problem.startswith("params.yaml:3: monitor.log.uri")


@pytest.mark.parametrize(
    ("sticky", "words"),
    [
        ("{}", "exactly one of header and field"),
        ("{header: x-user-id, field: id}", "exactly one of header and field"),
        ("{header: x-seatrial-key}", "is taken off every request"),
        ("{header: 'x user'}", "rollout.sticky.header: expected"),
        ("{header: 'a%)b'}", "rollout.sticky.header: expected"),
        ("{cookie: a}", "rollout.sticky.cookie: unknown key"),
    ],
)
def test_a_variant_is_drawn_by_one_header_or_one_field(tmp_path, sticky, words):
    (problem,) = problems(tmp_path, f"{SMALL}rollout: {{sticky: {sticky}}}\n")
    assert words in problem


@pytest.mark.parametrize(
    ("rollout", "url"),
    [
        ("{}", "http://127.0.0.1:8080"),
        ("{host: '::1', port: 80}", "http://[::1]:80"),
        ("{host: 0.0.0.0, tls: {certificate: a, key: b}}", "https://127.0.0.1:8080"),
    ],
)
def test_the_endpoint_s_address_is_one_that_a_client_here_can_use(tmp_path, rollout, url):
    assert settings(tmp_path, f"{SMALL}rollout: {rollout}\n").rollout.url == url
