"""params.yaml, read once into frozen, typed settings.

Unknown keys are refused with the nearest known one; every message names file, line, value and what to do. DVC reads the
sections `model`, `data`, `preprocess` and `train` of the same file, so an environment's overlay may not touch those.
"""

from __future__ import annotations

import codecs
import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from seatrial.convert import Problem, convert
from seatrial.errors import ParamsError, UsageError
from seatrial.files import sha256_json
from seatrial.located import Located, PlacedError, YamlProblem, nearest, read_yaml
from seatrial.manifest import Task
from seatrial.params_diff import Diff, Tolerance
from seatrial.params_monitor import Drift, Log, Monitor
from seatrial.params_retrain import Retrain
from seatrial.params_rollout import Replay, Rollout
from seatrial.section import Count, Name, NotNegative, Positive, Section, Seed, Share, Text

__all__ = ["METRICS", "Diff", "Drift", "Log", "Monitor", "Replay", "Rollout", "Section", "Settings", "Tolerance", "load_settings"]

Tier = Literal["blocking", "advisory"]
MetricTier = Literal["critical", "supporting", "advisory"]
METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "pr_auc", "f1", "weighted_f1", "accuracy", "log_loss", "brier", "calibration_error"),
    "multiclass": ("accuracy", "macro_f1", "weighted_f1", "log_loss", "brier"),
    "regression": ("mae", "rmse", "r2", "median_absolute_error"),
}
"""The metrics that may stand under `model.primary` and `gate.metrics`, for each task."""

FORBIDDEN_OVERLAYS = ("model", "data", "preprocess", "train")


class Model(Section, frozen=True, kw_only=True):
    """What is released: `name` in the registry, the task, and the metric that decides first."""

    name: Name
    task: Task = "binary"
    primary: str = "roc_auc"


class Data(Section, frozen=True, kw_only=True):
    """The table: where it lies, which contract it keeps, and the roles that are not the contract's to say."""

    raw: Text
    pattern: Text | None = None
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    encoding: Text = "utf-8"
    partitions: tuple[Text, ...] = ()
    snapshot: dt.date | None = None
    contract: Text = "data/contract.yaml"
    reference: Text = "data/reference.json"
    target: Text
    positive: str | bool | int | None = None
    id: Text | None = None
    groups: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an encoding that nobody knows, and a glob where DVC needs a path."""
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise PlacedError(f"{self.encoding!r} is no known encoding, such as utf-8, latin-1 or utf-16", "encoding") from None
        if any(sign in self.raw for sign in "*?["):
            raise PlacedError(
                f"{self.raw!r} is a glob, which no stage can depend on; name the folder here, the glob in data.pattern", "raw"
            )


class Preprocess(Section, frozen=True, kw_only=True):
    """The split: which share of the rows is held out, by a hash of the id and this seed."""

    test_size: Share = 0.25
    seed: Seed = 0


class Train(Section, frozen=True, kw_only=True):
    """The estimator and its settings; one that an estimator does not know is not used by it (docs/params.md says which)."""

    estimator: Literal["hist_gradient_boosting", "logistic_regression", "random_forest"] = "hist_gradient_boosting"
    max_iter: Count = 150
    learning_rate: Positive = 0.06
    max_depth: Count | None = 4
    n_estimators: Count = 200
    c: Positive = 1.0
    seed: Seed = 0
    threads: Count = 1
    threshold: Literal["f1"] | Share = "f1"


class Tracking(Section, frozen=True, kw_only=True):
    """Where runs are kept in MLflow; its address is MLFLOW_TRACKING_URI, never a parameter."""

    experiment: Text = "seatrial"


class MetricPolicy(Section, frozen=True, kw_only=True):
    """What the gate asks of one metric: a floor or a ceiling, and how much worse than the champion is still acceptable.

    A critical metric has to be shown to be good, a supporting one only not to be bad; an advisory one is shown.
    """

    floor: float | None = None
    ceiling: float | None = None
    margin: NotNegative | None = None
    must_improve: bool = False
    tier: MetricTier = "critical"


class Slices(Section, frozen=True, kw_only=True):
    """Parts of the held-out rows that are compared with the champion one by one: the values of a column, or quarters of a number.

    `metric` is `model.primary` where it is left out. A slice with fewer rows of either class than `min_per_class` is not judged.
    """

    columns: tuple[Text, ...] = ()
    metric: Text | None = None
    margin: NotNegative = 0.05
    min_per_class: Count = 30
    tier: MetricTier = "supporting"


class Noise(Section, frozen=True, kw_only=True):
    """How many times `nox -s noise` trains, to see by how much a metric moves by luck alone."""

    seeds: Annotated[int, Meta(ge=5, le=200)] = 10


class Fairness(Section, frozen=True, kw_only=True):
    """Equal opportunity between groups: the absolute gap, and how it changed from champion to challenger."""

    margin: Share = 0.15
    min_positives: Count = 100
    absolute: Tier = "advisory"
    change: Tier = "blocking"


class Latency(Section, frozen=True, kw_only=True):
    """The challenger through the real server: 99th percentile in milliseconds, and its ratio to the champion's.

    With fewer than 368 requests no order statistic bounds a 99th percentile at 97.5 %, and the ratio could not be decided.
    """

    p99_ms: Positive = 50
    max_ratio: Positive = 3.0
    requests: Annotated[int, Meta(ge=368)] = 2000
    rate: Positive = 450
    absolute: Tier = "advisory"
    ratio: Tier = "blocking"


class Gate(Section, frozen=True, kw_only=True):
    """What a challenger must show before it may be deployed."""

    metrics: dict[str, MetricPolicy] = {}  # noqa: RUF012 - a struct copies its defaults
    confidence: Annotated[float, Meta(ge=0.5, lt=1)] = 0.95
    resamples: Annotated[int, Meta(ge=2000)] = 2000
    seed: Seed = 0
    min_test_rows: Count = 200
    max_flips: Share = 0.2
    max_bundle_mb: Positive = 200
    fairness: Fairness = Fairness()
    latency: Latency = Latency()
    slices: Slices = Slices()
    noise: Noise = Noise()
    suite: Text = "tests/model"
    first_release: bool = False


class Notify(Section, frozen=True, kw_only=True):
    """Which changes of a rollout are told, and where the addresses stand: an environment variable's name, or a file's path (with a `/`).

    Addresses are secrets, so none stands here.
    """

    events: tuple[Literal["started", "held", "advanced", "promoted", "rolled_back", "error", "alert"], ...] = ()
    urls_from: Text = "SEATRIAL_NOTIFY_URLS"
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 10

    def __post_init__(self) -> None:
        """Refuse an address, whose tokens would be in git, and what is neither a variable's name nor a path."""
        if "://" in self.urls_from:
            raise PlacedError("an address is a secret: name the environment variable, or the file of mode 0600, that holds it", "urls_from")
        if "/" not in self.urls_from and not self.urls_from.replace("_", "A").isalnum():
            raise PlacedError("expected the name of an environment variable, or the path of a file, with a / in it", "urls_from")


class Compute(Section, frozen=True, kw_only=True):
    """Where work runs."""

    executor: Literal["local"] = "local"


class Settings(Section, frozen=True, kw_only=True):
    """All of params.yaml for one environment."""

    model: Model
    data: Data
    preprocess: Preprocess = Preprocess()
    train: Train = Train()
    tracking: Tracking = Tracking()
    diff: Diff = Diff()
    gate: Gate = Gate()
    rollout: Rollout = Rollout()
    monitor: Monitor = Monitor()
    retrain: Retrain = Retrain()
    notify: Notify = Notify()
    compute: Compute = Compute()
    environment: str = "local"

    @property
    def registered_model(self) -> str:
        """The registry's name: the model's for `local`, with the environment behind it otherwise."""
        return self.model.name if self.environment == "local" else f"{self.model.name}-{self.environment}"

    def require_binary(self, command: str) -> None:
        """UsageError for what knows binary tasks only, where the task is another one."""
        if self.model.task != "binary":
            raise UsageError(f"{command} knows binary tasks only; model.task of params.yaml is {self.model.task}")

    @property
    def gate_policy(self) -> str:
        """Digest of all that the gate is told, the environment included: another policy makes a recorded verdict void."""
        told = {"gate": self.gate.to_dict(), "model": self.model.to_dict(), "groups": self.data.groups, "environment": self.environment}
        return sha256_json(told)

    def __post_init__(self) -> None:
        """Refuse metrics and a positive class that the task does not have."""
        known = METRICS[self.model.task]
        if self.model.task != "binary" and self.data.positive is not None:
            raise PlacedError(f"a {self.model.task} task has no positive class; remove it", "data", "positive")
        places = [(("model", "primary"), self.model.primary), *((("gate", "metrics", name), name) for name in self.gate.metrics)]
        places += [(("diff", "tolerances", name), name) for name in self.diff.tolerances]
        if self.gate.slices.metric is not None:
            places.append((("gate", "slices", "metric"), self.gate.slices.metric))
        for place, name in places:
            if name not in known:
                raise PlacedError(f"{name!r} is no metric of a {self.model.task} task{nearest(name, known)}", *place)


def load_settings(path: Path, environment: str = "local") -> Settings:
    """Read params.yaml and lay the overlay of `environment` over it; every overlay is checked, whichever is chosen.

    Raises ParamsError with one sentence for each problem, UsageError for an environment that the file does not name.
    """
    try:
        located = read_yaml(path)
    except YamlProblem as error:
        raise ParamsError((str(error),)) from None
    overlays = _overlays(located)
    if environment not in overlays:
        remedy = f"known are {', '.join(overlays)}{nearest(environment, overlays)}"
        raise UsageError(f"{path.name} has no environment {environment!r}", hint=remedy)
    settings = {name: _build(located, name, overlay) for name, overlay in overlays.items()}
    return settings[environment]


def _overlays(located: Located) -> dict[str, dict[str, Any]]:
    """The overlays by name, `local` first; ParamsError for one that is no mapping or touches what DVC reads."""
    found = located.values.pop("environments", None) or {}
    if not isinstance(found, dict) or not all(overlay is None or isinstance(overlay, dict) for overlay in found.values()):
        line = located.line(("environments",))
        raise ParamsError((f"{located.path.name}:{line}: environments: expected a mapping of names to sections",))
    problems = tuple(
        f"{located.path.name}:{located.line(('environments', name, section))}: environments.{name}.{section}: an environment may not "
        f"change {section!r}: DVC reads it, and one commit has one model; move it to the top-level section"
        for name, overlay in found.items()
        for section in overlay or {}
        if section in FORBIDDEN_OVERLAYS
    )
    if problems:
        raise ParamsError(problems)
    return {"local": {}} | {str(name): overlay or {} for name, overlay in found.items()}


def _build(located: Located, environment: str, overlay: Mapping[str, Any]) -> Settings:
    values = merged(located.values, overlay)
    if "environment" in values:
        raise ParamsError(
            (f"{located.path.name}:{located.line(('environment',))}: environment: chosen by SEATRIAL_ENV or --env, not here",)
        )
    settings, problems = convert(Settings, {**values, "environment": environment})
    problems += _bare_date(values)
    if settings is None or problems:
        raise ParamsError(tuple(located.sentence(place, words, prefix=("environments", environment)) for place, words in problems))
    return settings


def _bare_date(values: Mapping[str, Any]) -> list[Problem]:
    """DVC reads this section too, and stops at a date that is not in quotes."""
    data = values.get("data")
    found = data.get("snapshot") if isinstance(data, dict) else None
    if not isinstance(found, dt.date):
        return []
    return [(("data", "snapshot"), f'write it in quotes, "{found}": DVC cannot read a bare date')]


def merged(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """An overlay laid over values: mappings key by key, everything else as a whole."""
    found = dict(base)
    for key, value in overlay.items():
        old = found.get(key)
        found[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return found
