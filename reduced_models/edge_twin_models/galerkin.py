"""Proper orthogonal decomposition of fields and Galerkin projection of the reaction-diffusion equation.

Fields live on the voxels inside a mask; the inner product is weighted with the voxel volume, so that the
coefficients do not depend on the resolution of the grid. There is no mean: the equation maps zero to zero, and
drug and radiation scale the field, which a basis without an offset represents exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin.engines.numpy_field import ReducedOperators
from edge_twin_models.field_domain import Domain
from edge_twin_models.field_teacher import ALPHA_BETA_GY

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FieldBasis:
    """Orthonormal modes in the volume-weighted inner product.

    Attributes:
        modes: [m, r]; voxel_volume: weight of the inner product.
        energy_left: share of the snapshots' energy outside the modes (it certifies nothing by itself).
    """

    modes: Floats
    voxel_volume: float
    energy_left: float

    def project(self, fields: Floats) -> Floats:
        """Coefficients [n, r] of fields [m, n]."""
        return np.asarray(fields.T @ self.modes * self.voxel_volume)

    def rebuild(self, coefficients: Floats) -> Floats:
        """Fields [m, n] of coefficients [n, r]."""
        return np.asarray(self.modes @ coefficients.T)


def decompose_fields(snapshots: Floats, modes: int, voxel_volume: float) -> FieldBasis:
    """Leading modes of snapshots [m, s] by the method of snapshots.

    Every snapshot is scaled to unit norm first: after radiotherapy a field is a hundredth of what it was, and
    an unscaled decomposition would ignore its shape. The correlation [s, s] is accumulated in double precision,
    and the modes are orthonormalised again at the end, because dividing by small eigenvalues loses digits.
    """
    norms = np.sqrt(voxel_volume * (snapshots**2).sum(axis=0))
    scaled = np.asarray(snapshots / norms, np.float64)
    values, vectors = np.linalg.eigh(voxel_volume * (scaled.T @ scaled))
    raw = scaled @ vectors[:, ::-1][:, :modes]
    orthonormal, triangle = np.linalg.qr(raw)
    signed = orthonormal * np.sign(np.diag(triangle))
    signed = signed * np.sign(signed[np.abs(signed).argmax(axis=0), np.arange(modes)])
    left = float(1.0 - values[::-1][:modes].sum() / values.sum())
    return FieldBasis(signed / np.sqrt(voxel_volume), voxel_volume, left)


def project_equation(basis: FieldBasis, domain: Domain) -> ReducedOperators:
    """The reduced operators; exact for the discrete equation, no hyper-reduction."""
    modes, volume = basis.modes, basis.voxel_volume
    diffusion = volume * modes.T @ (domain.diffusion @ modes)
    first, second = np.triu_indices(modes.shape[1])
    twice = np.where(first == second, 1.0, 2.0)
    quadratic = np.stack([_products(modes, mode, volume)[first, second] * twice for mode in modes.T])
    return ReducedOperators(0.5 * (diffusion + diffusion.T), quadratic, 1.0, ALPHA_BETA_GY)


def _products(modes: Floats, mode: Floats, volume: float) -> Floats:
    """[r, r] of ⟨φ_i, φ_j φ_k⟩ for one i."""
    return np.asarray(volume * modes.T @ (modes * mode[:, None]))
