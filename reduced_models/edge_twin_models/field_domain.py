"""Where a field lives: a voxel mask with spacing, and the symmetric no-flux diffusion operator on it.

The operator is a finite-volume one: every pair of neighbouring voxels inside the mask exchanges
``conductance · (difference)``, nothing crosses the mask's edge. It is therefore symmetric, its rows sum to
zero (mass is conserved to rounding), and it never creates a negative value under the step bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.errors import BundleError

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Domain:
    """A masked grid in two or three dimensions.

    Attributes:
        mask: [x, y] or [x, y, z], true inside the brain.
        spacing_mm: of the voxels along each axis.
        relative_diffusivity: [grid] factor of the diffusion coefficient, e.g. 1 in white and less in grey matter.

    Raises:
        BundleError: ``domain_invalid``.
    """

    mask: Booleans
    spacing_mm: tuple[float, ...]
    relative_diffusivity: Floats

    def __post_init__(self) -> None:
        dimensions = self.mask.ndim
        shaped = dimensions in {2, 3} and len(self.spacing_mm) == dimensions
        shaped = shaped and self.relative_diffusivity.shape == self.mask.shape
        if not (shaped and bool(self.mask.any()) and min(self.spacing_mm) > 0.0):
            raise BundleError("a domain needs a mask in 2 or 3 dimensions and a spacing", reason="domain_invalid")
        if not bool((self.relative_diffusivity[self.mask] > 0.0).all()):
            raise BundleError("the diffusivity must be positive inside the mask", reason="domain_invalid")

    @property
    def voxels(self) -> int:
        """Number of voxels inside the mask, m."""
        return int(self.mask.sum())

    @property
    def voxel_volume(self) -> float:
        """mm³; in two dimensions mm²."""
        return float(np.prod(self.spacing_mm))

    @cached_property
    def positions_mm(self) -> Floats:
        """[m, dimensions] centres of the voxels inside, origin at the centre of the grid."""
        centre = (np.array(self.mask.shape) - 1.0) / 2.0
        return np.asarray((np.argwhere(self.mask) - centre) * np.array(self.spacing_mm))

    @cached_property
    def diffusion(self) -> Any:  # noqa: ANN401 - a scipy sparse matrix
        """Sparse symmetric L [m, m] in 1/mm²: ``du/dt = d · L u`` is no-flux diffusion."""
        from scipy import sparse  # noqa: PLC0415 - only teachers need it

        rows, columns, weights = self._links()
        exchange = sparse.coo_array((weights, (rows, columns)), shape=(self.voxels, self.voxels)).tocsr()
        exchange = exchange + exchange.T
        outflow: Floats = np.asarray(exchange.sum(axis=1)).ravel()
        return (exchange - sparse.diags_array(outflow)).tocsr()

    @cached_property
    def stable_step_mm2(self) -> float:
        """Largest d · dt in mm² for which a forward step keeps every value non-negative."""
        return float(1.0 / -self.diffusion.diagonal().min())

    def grid(self, values: Floats) -> Floats:
        """Values [m] on the grid, zero outside the mask."""
        full = np.zeros(self.mask.shape)
        full[self.mask] = values
        return full

    def _links(self) -> tuple[Integers, Integers, Floats]:
        """Pairs of neighbours inside the mask, each once, with their conductance in 1/mm² (harmonic mean)."""
        number = np.full(self.mask.shape, -1, np.int64)
        number[self.mask] = np.arange(self.voxels)
        parts = [self._axis_links(number, axis) for axis in range(self.mask.ndim)]
        rows, columns, weights = (np.concatenate(some) for some in zip(*parts, strict=True))
        return rows, columns, weights

    def _axis_links(self, number: Integers, axis: int) -> tuple[Integers, Integers, Floats]:
        length = self.mask.shape[axis]
        ahead, behind = (np.take(number, np.arange(length - 1) + shift, axis).ravel() for shift in (0, 1))
        one, two = (np.take(self.relative_diffusivity, np.arange(length - 1) + shift, axis).ravel() for shift in (0, 1))
        both = (ahead >= 0) & (behind >= 0)
        conductance = 2.0 * one[both] * two[both] / (one[both] + two[both])
        return ahead[both], behind[both], conductance / self.spacing_mm[axis] ** 2


def uniform_domain(mask: Booleans, spacing_mm: tuple[float, ...]) -> Domain:
    """A domain with the same diffusivity everywhere."""
    return Domain(mask, spacing_mm, np.ones(mask.shape))


def synthetic_brain(shape: tuple[int, ...], spacing_mm: float, grey_factor: float = 0.2) -> Domain:
    """A brain-like mask: an ellipsoid with a ventricle cut out and a rim of grey matter.

    It is a geometry for tests and for the shipped example, not an anatomy.

    Args:
        shape: of the grid, two or three dimensions.
        spacing_mm: of cubic voxels.
        grey_factor: diffusivity of grey relative to white matter [U]: about one fifth (Swanson et al. 2000,
            Cell Prolif 33:317-329, quoted from memory).
    """
    axes = [np.linspace(-1.0, 1.0, length) for length in shape]
    grid = np.meshgrid(*axes, indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in grid))
    off_centre = np.sqrt(sum(((axis - shift) / 0.22) ** 2 for axis, shift in zip(grid, (0.45, 0.1, 0.1), strict=False)))
    mask = (radius <= 1.0) & (off_centre > 1.0)
    diffusivity = np.where(radius > 0.85, grey_factor, 1.0)  # noqa: PLR2004 - a rim of 15 % of the semi-axis
    return Domain(np.asarray(mask, np.bool_), (spacing_mm,) * len(shape), diffusivity)
