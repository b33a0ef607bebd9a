"""Memory that the learned networks reuse from call to call, and their activation in it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]


class Buffers:
    """Arrays that grow to the largest ensemble seen and are handed out as views of its size.

    Args:
        kind: of the numbers.
    """

    def __init__(self, kind: type[np.generic] = np.float32) -> None:
        self._kind = kind
        self._arrays: dict[str, NDArray[Any]] = {}

    def get(self, name: str, *shape: int) -> NDArray[Any]:
        """A contiguous array of this shape, its content undefined."""
        size = math.prod(shape)
        if name not in self._arrays or self._arrays[name].size < size:
            self._arrays[name] = np.empty(size, self._kind)
        return self._arrays[name][:size].reshape(shape)


def silu(values: Singles, bias: Singles, spare: Singles) -> None:
    """SiLU, x / (1 + exp(-x)), of x = values + bias, in place; far negative x overflow to the right limit, zero.

    Args:
        values: changed.
        bias: added first; broadcast.
        spare: of the shape of ``values``; overwritten.
    """
    values += bias
    np.negative(values, out=spare)
    with np.errstate(over="ignore"):
        np.exp(spare, out=spare)
    spare += np.float32(1.0)
    values /= spare
