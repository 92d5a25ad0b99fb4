"""The noise floor: by how much a metric moves when the same model is trained again with other luck.

Each training draws its rows anew, with replacement, and takes another seed (Bouthillier et al. 2021, "Accounting for
variance in machine learning benchmarks", find that the rows matter most). Two such models differ by √2 standard deviations.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.checks.noise import Noise
from seatrial.errors import DataError

Z = 1.645
"""The standard normal's 95 % quantile: the floor is what chance alone exceeds once in twenty times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The noise and the training rows, by their hash, that it was measured on."""

    noise: Noise
    training: str


def summarise(runs: Sequence[Mapping[str, float]], *, training: str) -> dict[str, Any]:
    """What `metrics/noise.json` holds: for each metric of the runs its mean, its standard deviation and the noise floor."""
    metrics = {name: _spread([float(run[name]) for run in runs]) for name in sorted(runs[0])}
    return {"training": training, "seeds": len(runs), "metrics": metrics}


def _spread(values: Sequence[float]) -> dict[str, float]:
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return {"mean": round(mean, 6), "deviation": round(deviation, 6), "floor": round(Z * math.sqrt(2) * deviation, 6)}


def read_noise(path: Path) -> Measured | None:
    """The noise that was measured, or None where nobody has; DataError where the file is not one of ours."""
    try:
        found = json.loads(path.read_bytes())
        floors = {str(name): float(one["floor"]) for name, one in found["metrics"].items()}
        return Measured(noise=Noise(seeds=int(found["seeds"]), floors=floors), training=str(found["training"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"metrics/{path.name} cannot be read as a noise floor ({error})", hint="measure it again: nox -s noise") from None
