"""Proper orthogonal decomposition of curves on the dose-aligned grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Basis:
    """Mean and orthonormal modes.

    Attributes:
        mean: [g]; modes: [g, k], orthonormal columns.
        energy_left: share of the variance outside the modes. It certifies nothing: small energies hide
            large errors at the nadir.
    """

    mean: Floats
    modes: Floats
    energy_left: float

    def project(self, curves: Floats) -> Floats:
        """Coefficients [n, k] of curves [n, g]."""
        return np.asarray((curves - self.mean) @ self.modes)

    def rebuild(self, coefficients: Floats) -> Floats:
        """Curves [n, g] of coefficients [n, k]."""
        return np.asarray(coefficients @ self.modes.T + self.mean)


def decompose(curves: Floats, modes: int) -> Basis:
    """The leading modes of curves [n, g].

    The covariance is accumulated in double precision: in single precision the residual energy of many
    modes comes out negative. The sign of each mode is fixed by its largest entry, for reproducible files.
    """
    exact = np.asarray(curves, np.float64)
    mean = exact.mean(axis=0)
    centred = exact - mean
    values, vectors = np.linalg.eigh(centred.T @ centred)
    leading = vectors[:, ::-1][:, :modes]
    signs = np.sign(leading[np.abs(leading).argmax(axis=0), np.arange(modes)])
    return Basis(mean, leading * signs, float(1.0 - values[::-1][:modes].sum() / values.sum()))
