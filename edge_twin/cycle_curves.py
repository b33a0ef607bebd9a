"""From the coefficients of the cycle operator to counts and states at any time, in memory that is reused."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_twin.cycle_weights import Weights
from edge_twin.engines.buffers import Buffers

Singles = NDArray[np.float32]

_HALF, _THIRD = np.float32(0.5), np.float32(1.0 / 3.0)


class CycleCurves:
    """Curves of the counts and of the pools before them, and their values between the points of the grid.

    Args:
        weights: hold the basis.

    Every result is a buffer that the next call overwrites.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._fields, self._work, self._ends = Buffers(), Buffers(), Buffers()
        self._index = Buffers(np.int32)

    def log_counts(self, coefficients: Singles, scaled: Singles) -> Singles:
        """[t, n] ln of count / baseline.

        Args:
            coefficients: [n, k].
            scaled: [t, n] since the start of the piece, in the unit of the layout.
        """
        return self.between(self._field("counts", coefficients, self._weights.counts), scaled, 0)

    def log_states(self, coefficients: Singles, scaled: Singles) -> Singles:
        """[n, states] ln of the pools and ln c of each member at its own time ``scaled`` [n]."""
        members, layout = len(coefficients), self._weights.layout
        pools = layout.pools
        result = self._ends.get("states", members, pools + 1)
        repeated = self._ends.get("repeated", members, pools)
        repeated[...] = scaled[:, None]
        states = self._field("states", coefficients, self._weights.states).reshape(pools * members, -1)
        ends = self.between(states, repeated.reshape(1, -1), layout.first_state_point)
        result[:, :pools] = ends.reshape(members, pools)
        result[:, pools] = self.log_counts(coefficients, scaled[None, :])[0]
        return result

    def between(self, curves: Singles, scaled: Singles, first_point: int) -> Singles:
        """Cubic Lagrange interpolation of regular curves, in Newton's forward form.

        Args:
            curves: [n, points], contiguous, the first at grid point ``first_point``.
            scaled: [t, n] times in the unit of the layout.
            first_point: of the grid.

        Returns:
            [t, n].
        """
        part = np.multiply(scaled, np.float32(1.0 / self._weights.layout.step), out=self._get("part", scaled))
        part -= np.float32(first_point)
        index = self._index.get("index", *scaled.shape)
        index[...] = part
        np.clip(index, 1, curves.shape[1] - 3, out=index)
        part -= index
        index += self._first_values(*curves.shape)
        before, here, after, beyond = (
            self._taken(name, curves, index, step) for name, step in zip("abcd", (-1, 1, 1, 1), strict=True)
        )
        return self._cubic(part, before, here, after, beyond)

    def _cubic(self, part: Singles, before: Singles, here: Singles, after: Singles, beyond: Singles) -> Singles:
        """With forward differences: before + (part + 1)·(first + part/2·(second + (part - 1)/3·third))."""
        spare, second = self._get("spare", part), self._get("second", part)
        np.multiply(here, np.float32(2.0), out=second)
        np.subtract(after, second, out=second)
        second += before
        after *= np.float32(3.0)
        beyond -= after
        np.multiply(here, np.float32(3.0), out=spare)
        beyond += spare
        beyond -= before
        np.subtract(part, np.float32(1.0), out=spare)
        spare *= _THIRD
        spare *= beyond
        spare += second
        np.multiply(part, _HALF, out=second)
        second *= spare
        here -= before
        second += here
        part += np.float32(1.0)
        part *= second
        part += before
        return part

    def _field(self, name: str, coefficients: Singles, pair: tuple[Singles, Singles]) -> Singles:
        """[n, points] centre + coefficients · basis."""
        centre, basis = pair
        result = np.matmul(coefficients, basis, out=self._fields.get(name, len(coefficients), centre.size))
        result += centre
        return result

    def _first_values(self, curves: int, points: int) -> NDArray[np.int32]:
        """[n] where each curve begins in the flat array."""
        first: NDArray[np.int32] = self._index.get("first", curves)
        first[...] = np.arange(curves, dtype=np.int32)
        first *= np.int32(points)
        return first

    def _taken(self, name: str, curves: Singles, index: NDArray[np.int32], step: int) -> Singles:
        """The values ``step`` points on; the index moves along. The mode only avoids numpy's copy of a safe take."""
        index += np.int32(step)
        return np.take(curves, index, out=self._get(name, index), mode="clip")

    def _get(self, name: str, like: NDArray[np.float32] | NDArray[np.int32]) -> Singles:
        found: Singles = self._work.get(name, *like.shape)
        return found
