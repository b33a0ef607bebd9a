"""Points of the unit cube: a scrambled Sobol sequence for designs, independent draws for certificates."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
