"""How the builds round, so that the last bits of a processor's arithmetic do not show in a bundle."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def rounded_up(value: float) -> float:
    """To one significant figure, upwards: a certificate may not promise more than was measured."""
    decimals = -math.floor(math.log10(value))
    return round(math.ceil(value * 10.0**decimals) / 10.0**decimals, decimals)


def eight_figures(values: Floats) -> Floats:
    """Any shape, each value to eight significant figures."""
    return np.array([float(f"{value:.8g}") for value in values.ravel()]).reshape(values.shape)
