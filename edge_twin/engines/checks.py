"""What every engine asks of its input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_twin.errors import BundleError

Floats = NDArray[np.float64]


def checked_arrays(log_parameters: Floats, steps: Floats, parameters: int, columns: int) -> Floats:
    """The log parameters as float64 [n, parameters] once both arrays are well formed.

    Args:
        log_parameters: [n, parameters], finite.
        steps: [k, columns], finite.
        parameters: number of patient parameters.
        columns: number of columns that describe a step.

    Raises:
        BundleError: ``engine_input``.
    """
    values = np.asarray(log_parameters, dtype=np.float64)
    shaped = values.ndim == 2 and values.shape[1] == parameters  # noqa: PLR2004 - [n, p]
    stepped = steps.ndim == 2 and steps.shape[1] == columns  # noqa: PLR2004 - [k, columns]
    if not (shaped and stepped and bool(np.isfinite(values).all()) and bool(np.isfinite(steps).all())):
        message = f"log parameters [n, {parameters}] and steps [k, {columns}] must be finite"
        raise BundleError(message, reason="engine_input")
    return values
