"""A reduced field: the tumour's cellularity as a few coefficients of spatial modes, for a whole ensemble.

The bundle belongs to one geometry. It holds the modes on the voxels that a tumour of its training reaches,
the projected equation, and what is needed to know when not to be believed: the box of the parameters, the
treatments it was made for, the distance of a state from those of the training, and the error bands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle, members_outside, outside_envelope
from edge_twin.engines.numpy_field import PARAMETERS, FieldEngine, ReducedOperators
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent, LinearPharmacokinetics, exposure_grid
from edge_twin.manifest import Reader
from edge_twin.npz import read_arrays
from edge_twin.support import CLOCK_SLACK

REACTION_DIFFUSION_POD = "reaction_diffusion_pod"
"""Engine kind in the manifest."""

ARRAYS = ("modes", "mode_scale", "voxels", "cellularity", "diffusion", "quadratic", "centre", "precision")
_DIMENSIONS = (2, 3)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


class Fraction(NamedTuple):
    """One fraction of radiotherapy.

    Attributes:
        day: on the axis of the requested days.
        gray: dose in Gy, the same in the whole tumour.
    """

    day: float
    gray: float


class Treatment(NamedTuple):
    """What is given, each list in any order.

    Attributes:
        fractions: of radiotherapy; doses: of the bundle's drug.
    """

    fractions: tuple[Fraction, ...] = ()
    doses: tuple[DoseEvent, ...] = ()


UNTREATED = Treatment()


@dataclass(frozen=True, slots=True)
class FieldEnvelope:
    """Where the bundle was certified, beside the box of its parameters and its doses.

    Attributes:
        max_fraction_gy, max_fractions, min_fraction_interval_days: of radiotherapy.
        max_residual: largest relative L2 distance of a start from the span of the modes.
        centre, precision: [r] mean and [r, r] inverse covariance of the training states scaled to unit norm.
        max_distance: largest squared distance of the shape of a state, see ``FieldModel.shape_distance``.
        max_norm: largest norm of a state.
    """

    max_fraction_gy: float
    max_fractions: int
    min_fraction_interval_days: float
    max_residual: float
    centre: Floats
    precision: Floats
    max_distance: float
    max_norm: float


class FieldBand(NamedTuple):
    """Simultaneous 95 % split-conformal half-widths, student against teacher.

    Attributes:
        log_cellularity: of ln(total cellularity).
        volume_mm3: of the volume above ``threshold``.
        threshold: cellularity at which the volume was counted.
    """

    log_cellularity: float
    volume_mm3: float
    threshold: float


class Projection(NamedTuple):
    """A measured map on the modes.

    Attributes:
        coefficients: [r].
        residual: relative L2 norm of what the modes cannot represent.
    """

    coefficients: Floats
    residual: float


@dataclass(frozen=True, eq=False)
class FieldRun:
    """Coefficients of an ensemble on the requested days.

    Attributes:
        days: [t].
        coefficients: [t, n, r].
        inside: [n] whether all of a member's states look like those of the training.
    """

    days: Floats
    coefficients: Floats
    inside: Booleans

    def checked(self) -> FieldRun:
        """This run, when every member may be believed.

        Raises:
            BundleError: ``state_outside_envelope``.
        """
        if not bool(self.inside.all()):
            count = int((~self.inside).sum())
            raise BundleError(f"{count} members leave the states of the training", reason="state_outside_envelope")
        return self


class FieldModel:
    """What a twin needs of a reduced field: run, observe, project, guard.

    Args:
        bundle: verified, engine kind ``reaction_diffusion_pod``.

    Attributes:
        operators: the projected equation.
        envelope, band: see their types.
        shape, spacing_mm: of the grid.

    Raises:
        BundleError: ``engine_kind_unknown``, ``malformed``.
    """

    def __init__(self, bundle: Bundle) -> None:
        if bundle.engine.kind != REACTION_DIFFUSION_POD:
            raise BundleError(f"{bundle.id} holds no reduced field", reason="engine_kind_unknown")
        if bundle.parameter_names != PARAMETERS:
            raise BundleError("the parameters are not those of the equation", reason="malformed")
        item = Reader(bundle.manifest).child("field")
        arrays = _arrays(bundle.files, item.text("arrays"))
        self._bundle = bundle
        self.shape, self.spacing_mm = _grid(item)
        self._voxels = arrays["voxels"].astype(np.int64)
        self._cellularity = arrays["cellularity"]
        capacity, alpha_beta = item.number("capacity", above=0.0), item.number("alpha_beta_gy", above=0.0)
        self.operators = ReducedOperators(arrays["diffusion"], arrays["quadratic"], capacity, alpha_beta)
        self.envelope = _envelope(item.child("envelope"), arrays)
        self.band = _band(item.child("conformal"))
        self._check_shapes(arrays)
        self._modes = arrays["modes"] * arrays["mode_scale"]

    @property
    def size(self) -> int:
        """Number of modes, r."""
        return self.operators.size

    @property
    def voxel_volume(self) -> float:
        """mm³; in two dimensions mm²."""
        return float(np.prod(self.spacing_mm))

    def outside(
        self, log_parameters: Floats, treatment: Treatment = UNTREATED, horizon_days: float = 0.0
    ) -> tuple[str, ...]:
        """What lies outside the validity envelope, as stable words; see ``bundle.outside_envelope``.

        Further words: ``fraction_dose``, ``fraction_count``, ``fraction_interval``.
        """
        limits, fractions = self.envelope, treatment.fractions
        days = np.sort([fraction.day for fraction in fractions])
        checks = {
            "fraction_dose": all(0.0 <= fraction.gray <= limits.max_fraction_gy for fraction in fractions),
            "fraction_count": len(fractions) <= limits.max_fractions,
            "fraction_interval": bool((np.diff(days) >= limits.min_fraction_interval_days - CLOCK_SLACK).all()),
        }
        words = outside_envelope(self._bundle, log_parameters, treatment.doses, horizon_days)
        return (*words, *(word for word, ok in checks.items() if not ok))

    def run(
        self, engine: FieldEngine, initial: Floats, log_parameters: Floats, days: Floats, treatment: Treatment
    ) -> FieldRun:
        """Roll an ensemble out.

        Args:
            engine: see ``field_engines.select_field_engine``.
            initial: [n, r] coefficients on the first of ``days``.
            log_parameters: [n, 4].
            days: [t] increasing; nothing is given before the first one.
            treatment: what is given.

        Raises:
            BundleError: ``outside_envelope`` with the words of ``outside``; ``times_invalid``, ``engine_input``.
        """
        horizon = float(days[-1] - days[0]) if len(days) else 0.0
        if words := self.outside(log_parameters, treatment, horizon):
            raise BundleError(f"outside the envelope: {', '.join(words)}", reason="outside_envelope")
        pk, longest = self._bundle.pharmacokinetics, self._bundle.engine.max_step_days
        steps, report = treatment_steps(pk, days, treatment, longest)
        coefficients = engine.run(initial, log_parameters, steps, report)
        return FieldRun(days, coefficients, self.states_inside(coefficients) & self._members_inside(log_parameters))

    def states_inside(self, coefficients: Floats) -> Booleans:
        """[n] whether all states [t, n, r] of a member look like those of the training."""
        norm = _norm(coefficients)[:, :, 0]
        near = self.shape_distance(coefficients) <= self.envelope.max_distance
        return np.asarray((near & (norm <= self.envelope.max_norm)).all(axis=0))

    def shape_distance(self, coefficients: Floats) -> Floats:
        """[t, n] squared Mahalanobis distance of the states' shapes: of the coefficients scaled to unit norm.

        A zero or non-finite state has no shape: its distance is infinite.
        """
        norm = _norm(coefficients)
        usable = np.isfinite(norm) & (norm > 0.0)
        shapes = np.divide(coefficients, norm, out=np.zeros_like(coefficients), where=usable)
        away = shapes - self.envelope.centre
        distance = ((away @ self.envelope.precision) * away).sum(axis=2)
        return np.where(usable[:, :, 0], distance, np.inf)

    def cellularity(self, coefficients: Floats) -> Floats:
        """Total cellularity in mm³ (the integral of the field) of coefficients [..., r]; linear and exact."""
        return np.asarray(coefficients @ self._cellularity)

    def volume(self, coefficients: Floats, threshold: float) -> Floats:
        """Volume in mm³ of the voxels at or above a cellularity, of coefficients [n, r]."""
        return np.asarray((self._values(coefficients) >= threshold).sum(axis=0) * self.voxel_volume)

    def extent(self, coefficients: Floats, threshold: float) -> Floats:
        """Longest side in mm of the box around the voxels at or above a cellularity, of coefficients [n, r]."""
        above = self._values(coefficients) >= threshold
        places = np.stack(np.unravel_index(self._voxels, self.shape))[:, :, None]
        high = np.where(above, places, -1).max(axis=1)
        low = np.where(above, places, np.iinfo(np.int64).max).min(axis=1)
        sides = np.where(high >= 0, high - low + 1, 0) * np.array(self.spacing_mm)[:, None]
        return np.asarray(sides.max(axis=0))

    def field(self, coefficients: Floats) -> Floats:
        """The field on the grid of one state [r]; zero where the training's tumours never were.

        Truncation makes small negative values next to the tumour: they are kept, because clipping would change
        the total.
        """
        full = np.zeros(int(np.prod(self.shape)))
        full[self._voxels] = self._values(coefficients[None, :])[:, 0]
        return full.reshape(self.shape)

    def project(self, cellularity: Floats) -> Projection:
        """Coefficients of a measured cellularity map on the bundle's grid.

        Raises:
            BundleError: ``map_invalid`` for another grid or values that are not finite, ``map_outside_basis`` when
                the modes cannot represent it.
        """
        if cellularity.shape != self.shape or not bool(np.isfinite(cellularity).all()):
            raise BundleError("the map is not on the grid of the bundle", reason="map_invalid")
        flat = np.asarray(cellularity, np.float64).ravel()
        coefficients = np.asarray(flat[self._voxels] @ self._modes * self.voxel_volume)
        left = flat.copy()
        left[self._voxels] -= self._modes @ coefficients
        residual = float(np.linalg.norm(left) / max(float(np.linalg.norm(flat)), np.finfo(float).tiny))
        if not residual <= self.envelope.max_residual:
            raise BundleError(f"the modes leave {residual:.1%} of the map", reason="map_outside_basis")
        return Projection(coefficients, residual)

    def _members_inside(self, log_parameters: Floats) -> Booleans:
        return np.asarray(~members_outside(self._bundle, log_parameters))

    def _values(self, coefficients: Floats) -> Floats:
        """[v, n] on the stored voxels."""
        return np.asarray(self._modes @ coefficients.T)

    def _check_shapes(self, arrays: Mapping[str, Floats]) -> None:
        voxels, size = len(self._voxels), len(arrays["diffusion"])
        pairs = size * (size + 1) // 2
        expected = {
            "modes": (voxels, size),
            "mode_scale": (size,),
            "voxels": (voxels,),
            "cellularity": (size,),
            "diffusion": (size, size),
            "quadratic": (size, pairs),
            "centre": (size,),
            "precision": (size, size),
        }
        if wrong := [name for name, shape in expected.items() if arrays[name].shape != shape]:
            raise BundleError(f"the array {wrong[0]} has another shape", reason="malformed")
        places = self._voxels
        if voxels == 0 or places.min() < 0 or places.max() >= np.prod(self.shape) or len(np.unique(places)) != voxels:
            raise BundleError("the voxels are not places of the grid", reason="malformed")


def treatment_steps(
    pk: LinearPharmacokinetics, days: Floats, treatment: Treatment, max_step_days: float
) -> tuple[Floats, Integers]:
    """Steps of the field's integrators and where the requested days are among their nodes.

    A node stands at every requested day, fraction and dose; a fraction counts for the report of its own moment.

    Args:
        pk: of the drug; the exposure of every step is exact.
        days: [t] strictly increasing; the first is the start, before which nothing is given.
        treatment: at or after the start; what comes after the last day does not matter.
        max_step_days: no step is longer.

    Returns:
        ``steps`` [k, 3] (days, µmol·d/L, Gy at the end; the first may have no length) and ``report`` [t].

    Raises:
        BundleError: as ``exposure_grid``; ``treatment_before_start``.
    """
    fractions, doses = treatment
    events = [*(fraction.day for fraction in fractions), *(dose.start_day for dose in doses)]
    if events and min(events) < days[0]:
        raise BundleError("a treatment lies before the start", reason="treatment_before_start")
    nodes = _nodes(np.asarray(days, np.float64), np.array(events, np.float64), max_step_days)
    grid = exposure_grid(pk, doses, nodes, max_step_days=max_step_days)
    exposure = np.add.reduceat(grid.steps[:, 1], grid.report[:-1]) if len(nodes) > 1 else np.zeros(0)
    gray = np.zeros(len(nodes))
    for fraction in fractions:
        if fraction.day <= nodes[-1]:
            gray[np.abs(nodes - fraction.day).argmin()] += fraction.gray
    lengths = np.concatenate(([0.0], np.diff(nodes)))
    steps = np.column_stack((lengths, np.concatenate(([0.0], exposure)), gray))
    return steps, np.searchsorted(nodes, days).astype(np.int64) + 1


def _nodes(days: Floats, events: Floats, max_step_days: float) -> Floats:
    """Requested days, events that are no microsecond away from one another, and fill-ins."""
    inside = events[events <= days[-1]]
    new = np.abs(inside[:, None] - days).min(axis=1, initial=np.inf) > CLOCK_SLACK
    fixed = np.unique(np.concatenate((days, inside[new])))
    fixed = fixed[np.concatenate(([True], np.diff(fixed) > CLOCK_SLACK))]
    counts = np.ceil(np.diff(fixed) / max_step_days - CLOCK_SLACK).astype(np.int64)
    pieces = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(fixed, fixed[1:], counts, strict=False)]
    return np.concatenate([*pieces, fixed[-1:]])


def _arrays(files: Mapping[str, bytes], name: str) -> dict[str, Floats]:
    try:
        loaded = read_arrays(files[name])
        arrays = {key: np.ascontiguousarray(loaded[key], np.float64) for key in ARRAYS}
    except (KeyError, ValueError) as error:
        raise BundleError("the arrays of the field cannot be read", reason="malformed") from error
    if not all(bool(np.isfinite(array).all()) for array in arrays.values()):
        raise BundleError("an array of the field is not finite", reason="malformed")
    return arrays


def _norm(coefficients: Floats) -> Floats:
    """[t, n, 1]; infinite or not a number where a state is, or is too large to square."""
    with np.errstate(over="ignore"):
        return np.asarray(np.sqrt((coefficients**2).sum(axis=2, keepdims=True)))


def _grid(item: Reader) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Shape and spacing, two or three of each."""
    shape, spacing = item.matrix("shape")[0], item.matrix("spacing_mm")[0]
    whole = all(side.is_integer() and 1.0 <= side <= 1024.0 for side in shape)  # noqa: PLR2004 - no scan is larger
    if len(shape) not in _DIMENSIONS or len(spacing) != len(shape) or not whole or min(spacing) <= 0.0:
        raise BundleError("shape and spacing describe no grid", reason="malformed")
    return tuple(int(side) for side in shape), tuple(spacing)


def _envelope(item: Reader, arrays: Mapping[str, Floats]) -> FieldEnvelope:
    return FieldEnvelope(
        item.number("max_fraction_gy", low=0.0),
        item.whole("max_fractions"),
        item.number("min_fraction_interval_days", above=0.0),
        item.number("max_residual", above=0.0),
        arrays["centre"],
        arrays["precision"],
        item.number("max_distance", above=0.0),
        item.number("max_norm", above=0.0),
    )


def _band(item: Reader) -> FieldBand:
    return FieldBand(
        item.number("log_cellularity", above=0.0),
        item.number("volume_mm3", low=0.0),
        item.number("threshold", above=0.0),
    )
