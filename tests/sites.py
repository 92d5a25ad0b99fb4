"""A project with a champion and a prediction log, without an endpoint around it."""

import datetime as dt
import json
import sqlite3

import msgspec
import polars as pl

from seatrial.bundle import PROFILE, Bundle, load_bundle, write_bundle
from seatrial.commands.drift import Question, drift
from seatrial.files import md5_of
from seatrial.live_profile import training_profile
from seatrial.live_rows import Selection
from seatrial.project import Project
from seatrial.serving.predictions import LogSettings, PredictionLog
from seatrial.serving.rows import Decoder
from seatrial.serving.runtime import Runtime
from seatrial.store import store_bundle
from tests.bundles import ID, TARGET, make_bundle, make_rows
from tests.entries import make_entry

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
PARAMS = """
model: {name: leavers}
data: {raw: data/raw.csv, target: left, id: client}
gate: {metrics: {roc_auc: {floor: 0.5}}}
monitor:
  drift: {min_rows: 300, window: 600}
"""
TABLES = (
    "CREATE TABLE registered_model_aliases (name TEXT, alias TEXT, version INTEGER)",
    "CREATE TABLE model_version_tags (name TEXT, version INTEGER, key TEXT, value TEXT)",
    "CREATE TABLE model_versions (name TEXT, version INTEGER, storage_location TEXT, run_id TEXT, current_stage TEXT)",
)
TRAINING = make_rows(1500, seed=1)


class Site:
    """A project with a champion in registry and store, its training rows, and a log to write to."""

    def __init__(self, root):
        self.root = root
        (root / "params.yaml").write_text(PARAMS)
        self.project = Project(root=root, env={})
        frame = pl.DataFrame(TRAINING).with_columns(pl.lit("No").alias(TARGET.name))
        self.project.train_data.parent.mkdir(parents=True)
        frame.write_parquet(self.project.train_data)
        frame.tail(frame.height // 3).write_parquet(self.project.test_data)
        self.bundle = self._bundle()
        store_bundle(self.bundle, self.project.home / "store")
        self._register(self.bundle)
        self.sequence = 0

    def _bundle(self) -> Bundle:
        made = make_bundle(self.root / "made")
        training = msgspec.structs.replace(
            made.manifest.training, data=md5_of(self.project.train_data), held_out=md5_of(self.project.test_data), rows=len(TRAINING)
        )
        write_bundle(self.project.bundle, msgspec.structs.replace(made.manifest, training=training), made.files)
        return load_bundle(self.project.bundle)

    def _register(self, bundle):
        with sqlite3.connect(self.root / "mlflow.db") as connection:
            for statement in TABLES:
                connection.execute(statement)
            connection.execute("INSERT INTO registered_model_aliases VALUES ('leavers', 'champion', 3)")
            connection.execute("INSERT INTO model_versions VALUES ('leavers', 3, '', '', 'None')")
            connection.execute("INSERT INTO model_version_tags VALUES ('leavers', 3, 'seatrial.digest', ?)", (bundle.digest,))
        connection.close()

    def set(self, **drift_settings):
        (self.root / "params.yaml").write_text(
            PARAMS.replace("{min_rows: 300, window: 600}", json.dumps({"min_rows": 300, "window": 600} | drift_settings))
        )
        self.project = Project(root=self.root, env={})

    def asked(self, rows, *, digest=None, variant="champion", simulated=False, at=NOON, probability=None, drop=()):
        """Answer rows with the champion and log them, as the server does."""
        self.sequence += 1
        rows_of_model = [{key: value for key, value in row.items() if key != ID} for row in rows]
        runtime = Runtime(self.bundle)
        answers = runtime.score(runtime.blocks(*Decoder(self.bundle.manifest).records(rows_of_model).flat)).tolist()
        log = PredictionLog(
            LogSettings(folder=self.project.home / "log", drop=drop), self.bundle.manifest, version="3", digest=digest or self.bundle.digest
        )
        log.append(
            make_entry(
                self.bundle.manifest,
                rows_of_model,
                at=at + dt.timedelta(microseconds=self.sequence),
                request_id=f"r{self.sequence}",
                variant=variant,
                simulated=simulated,
                labels=["No"] * len(rows),
                probabilities=answers if probability is None else [probability] * len(rows),
                ids=[row.get(ID) for row in rows],
                latency_ms=1.0,
            )
        )
        log.flush()
        assert log.lost == 0

    def profiled(self, groups=(), positive=None):
        """Let the champion keep a profile of its training rows."""
        frame = pl.DataFrame(TRAINING)
        answers = Runtime(self.bundle).score_frame(frame)
        profile = training_profile(frame, self.bundle.manifest.inputs, segments=groups, answers=answers, positive=positive)
        manifest = msgspec.structs.replace(self.bundle.manifest, groups=groups)
        write_bundle(self.project.bundle, manifest, {**self.bundle.files, PROFILE: profile.to_bytes()})
        self.bundle = load_bundle(self.project.bundle)
        with sqlite3.connect(self.root / "mlflow.db") as connection:
            connection.execute("UPDATE model_version_tags SET value = ?", (self.bundle.digest,))
        connection.close()

    def judge(self, **selection):
        return self.ask(selection=Selection(**selection))

    def ask(self, **question):
        return drift(self.project, Question(**question), now=NOON + dt.timedelta(days=1))[0]


def fresh(count=600, seed=2, **changes):
    """Rows drawn as the training rows are; each change maps a row to the new value of its column."""
    return [row | {name: change(row) for name, change in changes.items()} for row in make_rows(count, seed=seed)]
