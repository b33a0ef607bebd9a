"""Points of a box of parameters: a scrambled Sobol sequence for designs, independent draws for certificates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin_models.teacher import TeacherParameter

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BoxedParameter(TeacherParameter):
    """A teacher's parameter with the box in which it is reduced.

    Attributes:
        low, high: bounds, assumed.
    """

    low: float
    high: float

    def as_json(self) -> dict[str, Any]:
        """As the manifest of a bundle writes it."""
        return {
            "name": self.name,
            "unit": self.unit,
            "prior": {"kind": "lognormal", "typical": self.typical, "omega2": self.omega2},
            "low": self.low,
            "high": self.high,
            "mark": self.mark,
            "source": self.source,
            "omega2_mark": self.omega2_mark,
            "omega2_source": self.omega2_source,
            "box_mark": "A",
        }


def log_bounds(parameters: Sequence[BoxedParameter]) -> list[tuple[float, float]]:
    """Natural logarithms of the bounds of each parameter."""
    return [(math.log(parameter.low), math.log(parameter.high)) for parameter in parameters]


def unit_points(count: int, dimensions: int, seed: int, *, quasi: bool) -> Floats:
    """[count, dimensions] in [0, 1).

    Args:
        count: of points; a Sobol sequence is drawn to the next power of two and cut.
        dimensions: of the cube.
        seed: of the scrambling or of the generator.
        quasi: Sobol when true, independent draws otherwise.
    """
    if not quasi:
        return np.random.default_rng([seed, dimensions]).random((count, dimensions))
    from scipy.stats import qmc  # noqa: PLC0415 - heavy, and only a distillation needs it

    sequence = qmc.Sobol(dimensions, rng=np.random.default_rng(seed))
    return np.asarray(sequence.random(2 ** math.ceil(math.log2(max(count, 2)))))[:count]
