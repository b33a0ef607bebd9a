"""What the cycle operator learned: weights of the network, basis of the curves, guard of the inputs.

    coefficients = W3·silu(W2·silu(W1·x + b1) + b2) + S·x + b3,   x = (inputs - mean) / scale
    ln c, ln P, ln T1.. on the grid = centre + coefficients · basis

Everything comes from one verified npz file; nothing is executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.errors import BundleError
from edge_twin.npz import read_arrays

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layout:
    """What the network sees and how its curves are laid out.

    Attributes:
        inputs: names; the states first, in their order.
        pools: number of states beside the circulating count, which is the last.
        points, longest: of the grid of the curves and the last of its times, in the unit of the form.
        first_state_point: of the grid; the pools are kept from here on, as no piece ends earlier.
    """

    inputs: tuple[str, ...]
    pools: int
    points: int
    longest: float
    first_state_point: int

    @property
    def step(self) -> float:
        """Between two times of the grid."""
        return self.longest / (self.points - 1)

    @property
    def state_points(self) -> int:
        """Length of a row with the curves of the pools, one after the other."""
        return self.pools * (self.points - self.first_state_point)

    @property
    def times(self) -> Floats:
        """[points] of the curves after the start of a piece."""
        return np.arange(self.points, dtype=np.float64) * self.step


FRIBERG_LAYOUT = Layout(
    ("ln_p", "ln_t1", "ln_t2", "ln_t3", "ln_c", "ln_mtt", "ln_gamma", "kill", "infusion_scaled"), 4, 73, 12.0, 7
)
"""Time in mean transit times."""
JOST_LAYOUT = Layout(("ln_p", "ln_t", "ln_c", "ln_ktr", "ln_gamma", "kill", "ln_peak"), 2, 57, 28.0, 28)
"""Time in days."""


@dataclass(frozen=True, eq=False)
class Weights:
    """What the network learned, float32, and the guard of its inputs, float64.

    Attributes:
        layout: i inputs and the grid of g points.
        mean, scale: [i] of the inputs. hidden: (weight [in, out], bias [out]) of each hidden layer.
        last: (weight, bias) to the coefficients; skip: [i, k] linear part beside the network.
        counts, states: (centre, basis) of ln c [g] and of the logarithms of the pools [layout.state_points].
        low, high: [i] range of the training inputs.
        precision: [i, i] inverse covariance of the inputs; max_distance: largest squared distance allowed.
    """

    layout: Layout
    mean: Singles
    scale: Singles
    hidden: tuple[tuple[Singles, Singles], ...]
    last: tuple[Singles, Singles]
    skip: Singles
    counts: tuple[Singles, Singles]
    states: tuple[Singles, Singles]
    low: Floats
    high: Floats
    precision: Floats
    max_distance: float

    @property
    def size(self) -> int:
        """Number of coefficients of the curves."""
        return int(self.last[1].size)

    @property
    def learned_values(self) -> int:
        """Number of learned values, the basis included."""
        layers = (*self.hidden, self.last, self.counts, self.states)
        return int(self.skip.size + sum(array.size for pair in layers for array in pair))

    @classmethod
    def from_npz(cls, content: bytes, layout: Layout = FRIBERG_LAYOUT) -> Weights:
        """Read the file of a bundle.

        Args:
            content: of the file.
            layout: of the bundle's equations.

        Raises:
            BundleError: ``malformed``.
        """
        try:
            weights = cls(layout=layout, **_weights(read_arrays(content)))
        except (KeyError, ValueError, TypeError) as error:
            raise BundleError("the weights cannot be read", reason="malformed") from error
        if not weights.fit():
            raise BundleError("the weights do not fit each other", reason="malformed")
        return weights

    def fit(self) -> bool:
        """Whether shapes follow each other and every value is finite."""
        layout = self.layout
        width, inputs, size = len(self.mean), len(layout.inputs), self.last[0].shape[-1]
        chain = [inputs, *(bias.size for _, bias in self.hidden)]
        layers = zip((*self.hidden, self.last), chain, (*chain[1:], size), strict=True)
        shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
            (weight.shape, (rows, columns)) for (weight, _), rows, columns in layers
        ]
        points, state_points = layout.points, layout.state_points
        shapes += [(self.counts[1].shape, (size, points)), (self.states[1].shape, (size, state_points))]
        shapes += [(self.counts[0].shape, (points,)), (self.states[0].shape, (state_points,))]
        shapes += [(self.skip.shape, (inputs, size)), (self.precision.shape, (inputs, inputs))]
        shapes += [(vector.shape, (inputs,)) for vector in (self.mean, self.scale, self.low, self.high)]
        flat: list[Singles] = [array for pair in (*self.hidden, self.last, self.counts, self.states) for array in pair]
        finite = all(bool(np.isfinite(array).all()) for array in (*flat, self.skip, self.scale, self.mean))
        finite = finite and bool(np.isfinite(self.precision).all())
        return width == inputs and finite and all(found == wanted for found, wanted in shapes)


def _weights(arrays: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Arguments of ``Weights`` from the arrays of a file."""
    singles = {name: np.asarray(value, dtype=np.float32) for name, value in arrays.items()}
    layers = sorted(name for name in arrays if name.startswith("hidden_weight_"))
    return {
        "mean": singles["mean"],
        "scale": singles["scale"],
        "hidden": tuple((singles[name], singles[name.replace("weight", "bias")]) for name in layers),
        "last": (singles["last_weight"], singles["last_bias"]),
        "skip": singles["skip"],
        "counts": (singles["counts_centre"], singles["counts_basis"]),
        "states": (singles["states_centre"], singles["states_basis"]),
        "low": np.asarray(arrays["low"], dtype=np.float64),
        "high": np.asarray(arrays["high"], dtype=np.float64),
        "precision": np.asarray(arrays["precision"], dtype=np.float64),
        "max_distance": float(arrays["max_distance"]),
    }
