"""An emulator of a stochastic teacher: not one curve, but the distribution of a count that may be zero.

A network gives, for parameters and a horizon, the chance that the count is zero and mean and standard deviation
of its logarithm when it is not. The shape of the standardised logarithm is a table of quantiles, calibrated on
teacher runs that training has not seen (split conformal).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_twin.bundle import Bundle, members_outside
from edge_twin.engines.network_engines import CANDIDATES, LAYERS, NetworkEngine
from edge_twin.engines.selection import Choice, select, within_tolerance
from edge_twin.errors import BundleError
from edge_twin.manifest import Reader
from edge_twin.npz import read_arrays

DISTRIBUTION_EMULATOR = "distribution_emulator"
"""Engine kind in the manifest."""

OUTPUTS = ("logit_none", "log_mean", "log_variance")
"""Columns of the network's output."""

LEFT_OUT = 0.05  # of the probability by a 95 % interval

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Shape:
    """Quantiles of the standardised logarithm, the same for every member.

    Attributes:
        levels: [q] strictly increasing, within (0, 1); values: [q], not decreasing.
    """

    levels: Floats
    values: Floats


@dataclass(frozen=True, eq=False)
class CountDistribution:
    """The distribution of a count for n members.

    Attributes:
        none: [n] probability of zero.
        log_mean, log_sd: [n] of the logarithm of the count when it is not zero.
        shape: of the standardised logarithm.
    """

    none: Floats
    log_mean: Floats
    log_sd: Floats
    shape: Shape

    def quantile(self, levels: ArrayLike) -> Floats:
        """[..., n] counts that are not exceeded with probability ``levels`` (one for each member, or [..., 1])."""
        wanted = np.broadcast_to(np.asarray(levels, np.float64), np.broadcast_shapes(np.shape(levels), self.none.shape))
        above = np.clip((wanted - self.none) / np.maximum(1.0 - self.none, np.finfo(float).tiny), 0.0, 1.0)
        standard = np.interp(above, self.shape.levels, self.shape.values)
        counts = np.exp(self.log_mean + self.log_sd * standard)
        return np.where(wanted <= self.none, 0.0, np.maximum(counts, 1.0))

    def interval(self) -> tuple[Floats, Floats]:
        """(lower, upper) [n] with 95 % probability.

        Where zero itself has at least 2.5 % the interval begins there and leaves out the upper 5 %; otherwise it
        leaves out 2.5 % on either side.
        """
        zero = self.none >= LEFT_OUT / 2.0
        lower = np.where(zero, 0.0, self.quantile(LEFT_OUT / 2.0))
        return lower, np.where(zero, self.quantile(1.0 - LEFT_OUT), self.quantile(1.0 - LEFT_OUT / 2.0))

    def exceedance(self, count: float) -> Floats:
        """[n] probability of more than ``count`` cells, for counts of at least 1."""
        standard = (np.log(count) - self.log_mean) / self.log_sd
        below = np.interp(standard, self.shape.values, self.shape.levels, left=0.0, right=1.0)
        return np.asarray((1.0 - self.none) * (1.0 - below))


class Emulator:
    """What a twin needs of an emulator.

    Args:
        bundle: verified, engine kind ``distribution_emulator``.

    Attributes:
        arrays: float32 weights by name; litert: name of the LiteRT file.
        horizon_days: shortest and longest.
        shape: see ``Shape``.

    Raises:
        BundleError: ``engine_kind_unknown``, ``malformed``.
    """

    def __init__(self, bundle: Bundle) -> None:
        if bundle.engine.kind != DISTRIBUTION_EMULATOR:
            raise BundleError(f"{bundle.id} holds no emulator", reason="engine_kind_unknown")
        item = Reader(bundle.manifest).child("emulator")
        self._bundle = bundle
        self.arrays: Mapping[str, Singles] = MappingProxyType(_arrays(bundle.files, item.text("weights")))
        self.litert = item.text("litert")
        self.horizon_days = (item.number("min_horizon_days", above=0.0), item.number("max_horizon_days", above=0.0))
        if self.horizon_days[0] >= self.horizon_days[1]:
            raise BundleError("the horizons are the wrong way round", reason="malformed")
        self.shape = _shape(item)
        _check_shapes(self.arrays, len(bundle.parameters) + 1)

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return sum(array.size for array in self.arrays.values())

    def outside(self, log_parameters: Floats, days: ArrayLike) -> tuple[str, ...]:
        """What lies outside the validity envelope: ``parameter:<name>`` and ``horizon``; empty when nothing does."""
        names = self._bundle.parameter_names
        low, high = self._bundle.log_low, self._bundle.log_high
        columns = ((log_parameters >= low) & (log_parameters <= high)).T
        words = tuple(f"parameter:{name}" for name, ok in zip(names, columns, strict=True) if not ok.all())
        within = (np.asarray(days) >= self.horizon_days[0]) & (np.asarray(days) <= self.horizon_days[1])
        return words if bool(within.all()) else (*words, "horizon")

    def members_outside(self, log_parameters: Floats) -> NDArray[np.bool_]:
        """[n] whether each member has a parameter outside the envelope."""
        return members_outside(self._bundle, log_parameters)

    def distribution(self, engine: NetworkEngine, log_parameters: Floats, days: ArrayLike) -> CountDistribution:
        """The distribution of the count at a horizon.

        Args:
            engine: see ``select_emulator_engine``.
            log_parameters: [n, p] natural logarithms in the bundle's order.
            days: horizon, one for all members or [n].

        Raises:
            BundleError: ``outside_envelope`` with the words of ``outside``; ``engine_failed``.
        """
        if words := self.outside(log_parameters, days):
            raise BundleError(f"outside the envelope: {', '.join(words)}", reason="outside_envelope")
        raw = engine.outputs(features(log_parameters, days)).astype(np.float64)
        none = 1.0 / (1.0 + np.exp(-raw[:, 0]))
        return CountDistribution(none, raw[:, 1], np.exp(0.5 * raw[:, 2]), self.shape)


def features(log_parameters: Floats, days: ArrayLike) -> Singles:
    """[n, p + 1] inputs of the network: log parameters and ln(days)."""
    horizon = np.broadcast_to(np.log(np.asarray(days, np.float64)), len(log_parameters))
    return np.column_stack((log_parameters, horizon)).astype(np.float32)


def select_emulator_engine(bundle: Bundle, emulator: Emulator, prefer: str | None = None) -> Choice[NetworkEngine]:
    """The first engine that reproduces the golden vectors.

    Args:
        bundle: verified.
        emulator: of the bundle.
        prefer: tried first and then numpy; otherwise onnxruntime, LiteRT, numpy.

    Raises:
        BundleError: ``engine_unknown``, ``no_engine``.
    """
    return select(CANDIDATES, prefer, lambda engine: check_emulator_golden(engine, bundle), bundle, emulator)


def check_emulator_golden(engine: NetworkEngine, bundle: Bundle) -> float:
    """Largest difference from the golden outputs of the network, relative to 1 + |output|.

    The golden ``steps`` [k, 1] are the days from one horizon to the next, beginning at the shortest; ``output``
    [k + 1, g] is the mean of the logarithm, and ``raw`` [k + 1, g, 3] holds all outputs.

    Raises:
        BundleError: ``golden_mismatch`` when it exceeds the bundle's tolerance or is not a number, ``malformed``.
    """
    golden, raw = bundle.golden(), _raw(bundle)
    horizons = Emulator(bundle).horizon_days[0] + np.concatenate(([0.0], np.cumsum(golden.steps[:, 0])))
    found = np.stack([engine.outputs(features(golden.log_parameters, days)).copy() for days in horizons.tolist()])
    if raw.shape != found.shape or not np.array_equal(raw[:, :, 1], golden.output):
        raise BundleError("the golden outputs do not fit the emulator", reason="malformed")
    difference = float((np.abs(found - raw) / (1.0 + np.abs(raw))).max())
    return within_tolerance(difference, bundle)


def _raw(bundle: Bundle) -> Floats:
    try:
        return np.asarray(read_arrays(bundle.files[bundle.engine.golden])["raw"], np.float64)
    except (KeyError, ValueError) as error:
        raise BundleError("the golden outputs cannot be read", reason="malformed") from error


def _arrays(files: Mapping[str, bytes], name: str) -> dict[str, Singles]:
    try:
        loaded = read_arrays(files[name])
        arrays = {key: np.ascontiguousarray(loaded[key], np.float32) for key in LAYERS}
    except (KeyError, ValueError) as error:
        raise BundleError("the weights cannot be read", reason="malformed") from error
    if not all(bool(np.isfinite(array).all()) for array in arrays.values()):
        raise BundleError("a weight is not finite", reason="malformed")
    return arrays


def _check_shapes(arrays: Mapping[str, Singles], inputs: int) -> None:
    first, second = arrays["b1"].size, arrays["b2"].size
    expected = {
        "w1": (inputs, first),
        "b1": (first,),
        "w2": (first, second),
        "b2": (second,),
        "w3": (second, len(OUTPUTS)),
        "b3": (len(OUTPUTS),),
    }
    if wrong := [name for name, shape in expected.items() if arrays[name].shape != shape]:
        raise BundleError(f"the weights {wrong[0]} have another shape", reason="malformed")


def _shape(item: Reader) -> Shape:
    levels, values = (np.array(item.matrix(name)[0]) for name in ("shape_levels", "shape_values"))
    ordered = levels.shape == values.shape and len(levels) > 1 and bool((np.diff(levels) > 0.0).all())
    if not (ordered and bool((np.diff(values) >= 0.0).all()) and levels[0] > 0.0 and levels[-1] < 1.0):
        raise BundleError("the shape is no table of quantiles", reason="malformed")
    return Shape(levels, values)
