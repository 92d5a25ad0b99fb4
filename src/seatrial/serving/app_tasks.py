"""The application for multiclass and regression bundles: the routes and limits of `app`, with the answers of these tasks.

`/invocations` answers {"label": "b", "probabilities": {"a": 0.1, "b": 0.9}} for each row of a multiclass task, and
{"value": 1.5} for one of a regression; `/infer` has tensors of the same names. Nothing is written to a prediction log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seatrial.bundle import Manifest
from seatrial.metrics_tasks import Classes, Values
from seatrial.serving import inference, protocols, scoring
from seatrial.serving.app import Application, BrokenAnswer, Scored
from seatrial.serving.content import Content
from seatrial.serving.rows import Rows
from seatrial.serving.runtime import Probabilities


class TaskApplication(Application):
    """One multiclass or regression bundle behind HTTP."""

    def _prepare(self, manifest: Manifest) -> None:
        self._classes = manifest.target.classes
        self._outputs = inference.outputs_of(manifest)

    def _invocations(self, body: bytes, content: Content) -> tuple[Scored, bytes, None]:
        read = scoring.read_csv if content.csv else scoring.read_invocation
        rows = read(body, self._decoder, max_rows=self._limits.max_rows)
        return _unlogged(rows), protocols.encode({"predictions": self._predictions(self._found(rows))}), None

    def _infer(self, body: bytes, content: Content) -> tuple[Scored, bytes, int | None]:
        asked = inference.read_inference(body, self._decoder, max_rows=self._limits.max_rows, header=content.header, known=self._outputs)
        found = self._found(asked.rows)
        data: dict[str, Sequence[Any]] = {name: found.ravel().tolist() for name in self._outputs}
        if self._classes:
            data["label"] = self._runtime.labels(found)
        reply, header = inference.write_tensors(asked, data, self._outputs, count=asked.rows.count, name=self._name, version=self._version)
        return _unlogged(asked.rows), reply, header

    def _found(self, rows: Rows) -> Probabilities:
        """The runtime's answers; BrokenAnswer where the model fails or one is none."""
        try:
            found = self._runtime.score(rows.tensors)
        except Exception as error:
            raise BrokenAnswer(f"the model failed: {type(error).__name__}") from error
        strange = (Classes(probabilities=found) if self._classes else Values(values=found)).strange
        if strange:
            kind = "no probabilities that add up to 1" if self._classes else "no finite number"
            raise BrokenAnswer(f"the model's answers to {strange} of {rows.count} rows are {kind}")
        return found

    def _predictions(self, found: Probabilities) -> list[dict[str, Any]]:
        if not self._classes:
            return [{"value": value} for value in found.tolist()]
        labelled = zip(self._runtime.labels(found), found.tolist(), strict=True)
        return [{"label": label, "probabilities": dict(zip(self._classes, line, strict=True))} for label, line in labelled]


def _unlogged(rows: Rows) -> Scored:
    return Scored(rows=rows, labels=(), probabilities=())
