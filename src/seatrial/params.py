"""params.yaml, read once into frozen, typed settings.

Unknown keys are refused with the nearest known one; every message names file, line, value and what to do. DVC reads the
sections `model`, `data`, `preprocess` and `train` of the same file, so an environment's overlay may not touch those.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from seatrial.errors import ParamsError, UsageError
from seatrial.files import sha256_json
from seatrial.located import Located, PlacedError, YamlProblem, nearest, read_yaml

Task = Literal["binary"]
Tier = Literal["blocking", "advisory"]
Number = StrictInt | StrictFloat
Share = Annotated[Number, Field(gt=0, lt=1)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Count = Annotated[StrictInt, Field(gt=0)]
Seed = Annotated[StrictInt, Field(ge=0, le=2**32 - 1)]
Name = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Text = Annotated[StrictStr, Field(min_length=1)]

METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "pr_auc", "f1", "weighted_f1", "accuracy", "log_loss", "brier", "calibration_error"),
}
"""The metrics that may stand under `model.primary` and `gate.metrics`, for each task."""

FORBIDDEN_OVERLAYS = ("model", "data", "preprocess", "train")


def _quoted_date(value: Any) -> Any:
    """DVC reads this section too, and stops at a bare YAML date."""
    if isinstance(value, dt.date):
        raise PlacedError(f'write it in quotes, "{value}": DVC cannot read a bare date')
    return value


class Section(BaseModel):
    """One mapping of params.yaml: frozen, and closed to keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Model(Section):
    """What is released: `name` in the registry, the task, and the metric that decides first."""

    name: Name
    task: Task = "binary"
    primary: StrictStr = "roc_auc"


class Data(Section):
    """The table: where it lies, which contract it keeps, and the roles that are not the contract's to say."""

    raw: Text
    pattern: Text | None = None
    delimiter: Annotated[StrictStr, Field(min_length=1, max_length=1)] = ","
    snapshot: Annotated[dt.date, BeforeValidator(_quoted_date)] | None = None
    contract: Text = "data/contract.yaml"
    reference: Text = "data/reference.json"
    target: Text
    positive: StrictStr | StrictBool | StrictInt | None = None
    id: Text | None = None
    groups: tuple[Text, ...] = ()


class Preprocess(Section):
    """The split: which share of the rows is held out, by a hash of the id and this seed."""

    test_size: Share = 0.25
    seed: Seed = 0


class Train(Section):
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


class Tracking(Section):
    """Where runs are kept in MLflow; its address is MLFLOW_TRACKING_URI, never a parameter."""

    experiment: Text = "seatrial"


class MetricPolicy(Section):
    """What the gate asks of one metric: a floor or a ceiling, and how much worse than the champion is still acceptable."""

    floor: Number | None = None
    ceiling: Number | None = None
    margin: NotNegative | None = None
    must_improve: StrictBool = False
    advisory: StrictBool = False


class Fairness(Section):
    """Equal opportunity between groups: the absolute gap, and how it changed from champion to challenger."""

    margin: Share = 0.15
    min_positives: Count = 100
    absolute: Tier = "advisory"
    change: Tier = "blocking"


class Latency(Section):
    """The challenger through the real server: 99th percentile in milliseconds, and its ratio to the champion's."""

    p99_ms: Positive = 50
    max_ratio: Positive = 3.0
    requests: Annotated[StrictInt, Field(ge=300)] = 2000
    rate: Positive = 400
    absolute: Tier = "advisory"
    ratio: Tier = "blocking"


class Gate(Section):
    """What a challenger must show before it may be deployed."""

    metrics: dict[str, MetricPolicy] = {}
    confidence: Annotated[Number, Field(ge=0.5, lt=1)] = 0.95
    resamples: Annotated[StrictInt, Field(ge=2000)] = 2000
    seed: Seed = 0
    min_test_rows: Count = 200
    max_flips: Share = 0.2
    max_bundle_mb: Positive = 200
    fairness: Fairness = Fairness()
    latency: Latency = Latency()
    suite: Text = "tests/model"
    first_release: StrictBool = False


class Replay(Section):
    """Requests that the rollout sends itself, from the held-out rows: how many a second."""

    rate: Annotated[Number, Field(gt=0, le=5000)] = 300


Weight = Annotated[StrictInt, Field(ge=1, le=100)]


class Rollout(Section):
    """How a challenger takes over: its steps, the evidence that each one needs, and who says yes."""

    host: Text = "127.0.0.1"
    port: Annotated[StrictInt, Field(ge=1, le=65535)] = 8080
    strategy: Literal["progressive"] = "progressive"
    steps: tuple[Literal["mirror"] | Weight, ...] = ("mirror", 5, 25, 50, 100)
    alpha: Annotated[Number, Field(gt=0, lt=0.5)] = 0.01
    min_requests: Count = 300
    max_increase: Share = 0.02
    max_disagreement: Share = 0.2
    bake_seconds: NotNegative = 1
    step_deadline_s: Positive = 3600
    request_timeout_s: Positive = 2
    servers: Annotated[StrictInt, Field(ge=1, le=64)] = 1
    replay: Replay | None = Replay()
    approval: StrictBool = False

    @model_validator(mode="after")
    def _ordered(self) -> Rollout:
        weights = [step for step in self.steps if isinstance(step, int)]
        if "mirror" in self.steps[1:]:
            raise PlacedError("mirror can only be the first step", "steps")
        if not weights or weights[-1] != 100 or weights != sorted(set(weights)):
            raise PlacedError("weights must rise and end at 100, such as [mirror, 5, 25, 50, 100]", "steps")
        return self


class Log(Section):
    """The prediction log: how often it is written, in rows and seconds, and which columns stay out of it."""

    flush_seconds: Positive = 1
    flush_rows: Count = 5000
    keep_days: Count = 30
    drop: tuple[Text, ...] = ()


class DriftMethod(Section):
    """One Evidently test and the value from which it counts as drift."""

    method: Text
    limit: Positive


class Drift(Section):
    """Which test is asked of which type of column, how many rows are needed to answer, and how many of the newest are asked about."""

    numeric: DriftMethod = DriftMethod(method="ks_stat", limit=0.1)
    category: DriftMethod = DriftMethod(method="psi", limit=0.2)
    min_rows: Count = 500
    window: Count = 2000
    max_rows: Count = 100_000
    max_columns: Annotated[StrictInt, Field(ge=0)] = 0
    missing_increase: Share = 0.05


class Monitor(Section):
    """The live side: the prediction log and drift."""

    log: Log = Log()
    drift: Drift = Drift()


class Compute(Section):
    """Where work runs."""

    executor: Literal["local"] = "local"


class Settings(Section):
    """All of params.yaml for one environment."""

    model: Model
    data: Data
    preprocess: Preprocess = Preprocess()
    train: Train = Train()
    tracking: Tracking = Tracking()
    gate: Gate = Gate()
    rollout: Rollout = Rollout()
    monitor: Monitor = Monitor()
    compute: Compute = Compute()
    environment: str = "local"

    @property
    def registered_model(self) -> str:
        """The registry's name: the model's for `local`, with the environment behind it otherwise."""
        return self.model.name if self.environment == "local" else f"{self.model.name}-{self.environment}"

    @property
    def gate_policy(self) -> str:
        """Digest of all that the gate is told: another policy makes a recorded verdict void."""
        return sha256_json(
            {"gate": self.gate.model_dump(mode="json"), "model": self.model.model_dump(mode="json"), "groups": self.data.groups}
        )

    @model_validator(mode="after")
    def _metrics_fit_the_task(self) -> Settings:
        known = METRICS[self.model.task]
        places = [("model", "primary", self.model.primary), *(("gate", "metrics", name) for name in self.gate.metrics)]
        for section, key, name in places:
            if name not in known:
                place = (section, key, name) if key == "metrics" else (section, key)
                raise PlacedError(f"{name!r} is no metric of a {self.model.task} task{nearest(name, known)}", *place)
        return self


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
    values = _merge(located.values, overlay)
    if "environment" in values:
        raise ParamsError(
            (f"{located.path.name}:{located.line(('environment',))}: environment: chosen by SEATRIAL_ENV or --env, not here",)
        )
    try:
        return Settings.model_validate({**values, "environment": environment})
    except ValidationError as error:
        raise ParamsError(tuple(located.sentences(error, Settings, prefix=("environments", environment)))) from None


def _merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
