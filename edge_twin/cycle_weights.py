"""What the cycle operator learned: weights of the network, basis of the curves, guard of the inputs.

    coefficients = W3·silu(W2·silu(W1·x + b1) + b2) + S·x + b3,   x = (inputs - mean) / scale
    ln c, ln P, ln T1..T3 on the grid = centre + coefficients · basis

Everything comes from one verified npz file; nothing is executed.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from edge_twin.errors import BundleError

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

GRID_POINTS = 73
LONGEST_SCALED = 12.0  # mean transit times that a run covers
GRID_SCALED = LONGEST_SCALED / (GRID_POINTS - 1)
FIRST_STATE_POINT = 7  # ln P and ln T1..T3 are kept from here on: earlier no piece may end
INPUTS = ("ln_p", "ln_t1", "ln_t2", "ln_t3", "ln_c", "ln_mtt", "ln_gamma", "kill", "infusion_scaled")


def grid_scaled() -> Floats:
    """[g] times of the curves after the dose, in mean transit times."""
    return np.arange(GRID_POINTS, dtype=np.float64) * GRID_SCALED


@dataclass(frozen=True, eq=False)
class Weights:
    """What the network learned, float32, and the guard of its inputs, float64.

    Attributes:
        mean, scale: [9] of the inputs. hidden: (weight [in, out], bias [out]) of each hidden layer.
        last: (weight, bias) to the coefficients; skip: [9, k] linear part beside the network.
        counts, states: (centre, basis) of ln c [g] and of ln P, ln T1..T3 [4 * (g - FIRST_STATE_POINT)].
        low, high: [9] range of the training inputs.
        precision: [9, 9] inverse covariance of the inputs; max_distance: largest squared distance allowed.
    """

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
    def from_npz(cls, content: bytes) -> Weights:
        """Read the file of a bundle.

        Raises:
            BundleError: ``malformed``.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                weights = cls(**_weights({name: arrays[name] for name in arrays.files}))
        except (KeyError, ValueError, OSError, EOFError, TypeError, AttributeError, BadZipFile) as error:
            raise BundleError("the weights cannot be read", reason="malformed") from error
        if not weights.fit():
            raise BundleError("the weights do not fit each other", reason="malformed")
        return weights

    def fit(self) -> bool:
        """Whether shapes follow each other and every value is finite."""
        width, inputs, size = len(self.mean), len(INPUTS), self.last[0].shape[-1]
        chain = [inputs, *(bias.size for _, bias in self.hidden)]
        layers = zip((*self.hidden, self.last), chain, (*chain[1:], size), strict=True)
        shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
            (weight.shape, (rows, columns)) for (weight, _), rows, columns in layers
        ]
        state_points = 4 * (GRID_POINTS - FIRST_STATE_POINT)
        shapes += [(self.counts[1].shape, (size, GRID_POINTS)), (self.states[1].shape, (size, state_points))]
        shapes += [(self.counts[0].shape, (GRID_POINTS,)), (self.states[0].shape, (state_points,))]
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
