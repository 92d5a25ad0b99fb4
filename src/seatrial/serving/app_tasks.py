"""The application for multiclass and regression bundles: the routes and limits of `app`, with the answers of these tasks.

`/invocations` answers {"label": "b", "probabilities": {"a": 0.1, "b": 0.9}} for each row of a multiclass task, and
{"value": 1.5} for one of a regression; `/infer` has tensors of the same names. Nothing is written to a prediction log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seatrial.bundle import Manifest
from seatrial.metrics_tasks import Classes, Values
from seatrial.serving import inference, protocols
from seatrial.serving.app import Application
from seatrial.serving.batches import BrokenAnswer
from seatrial.serving.exchange import Answered, Asked
from seatrial.serving.runtime import Probabilities


class TaskApplication(Application):
    """One multiclass or regression bundle behind HTTP."""

    def _prepare(self, manifest: Manifest) -> None:
        self._classes = manifest.target.classes
        self._outputs = inference.outputs_of(manifest)

    def _write(self, asked: Asked, found: Probabilities) -> Answered:
        self._check(found, asked.rows.count)
        if asked.inference is None:
            return Answered(body=protocols.encode({"predictions": self._predictions(found)}))
        data: dict[str, Sequence[Any]] = {name: found.ravel().tolist() for name in self._outputs}
        if self._classes:
            data["label"] = self._runtime.labels(found)
        count, name, version = asked.rows.count, self._name, self._version
        body, header = inference.write_tensors(asked.inference, data, self._outputs, count=count, name=name, version=version)
        return Answered(body=body, header=header)

    def _check(self, found: Probabilities, count: int) -> None:
        """BrokenAnswer where one of the model's answers is none."""
        strange = (Classes(probabilities=found) if self._classes else Values(values=found)).strange
        if strange:
            kind = "no probabilities that add up to 1" if self._classes else "no finite number"
            raise BrokenAnswer(f"the model's answers to {strange} of {count} rows are {kind}")

    def _predictions(self, found: Probabilities) -> list[dict[str, Any]]:
        if not self._classes:
            return [{"value": value} for value in found.tolist()]
        labelled = zip(self._runtime.labels(found), found.tolist(), strict=True)
        return [{"label": label, "probabilities": dict(zip(self._classes, line, strict=True))} for label, line in labelled]
