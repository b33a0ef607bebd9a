"""A snapshot of the twin's parameters, small enough to send daily."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from edge_twin_sync import record_codec as codec
from edge_twin_sync.errors import RecordError
from edge_twin_sync.record_codec import RecordMap
from edge_twin_sync.strict_cbor import CborValue

MAX_PARAMETERS: Final = 64
# Added to the unit diagonal before factoring, so that rounding cannot make a correlation indefinite; far
# below the resolution of a half-precision float (about 1e-3).
_CORRELATION_JITTER: Final = 1e-6


class _StateKey(IntEnum):
    TIME, NAMES, MEAN, DEVIATIONS, FACTOR = range(5)


@dataclass(frozen=True, slots=True)
class StateRecord:
    """A snapshot of the twin's parameters: mean and covariance.

    The covariance travels as standard deviations (f32) and the Cholesky factor of the *correlation* (f16,
    lower triangle by rows). A factor always multiplies back to a positive semidefinite matrix, and a
    correlation's factor lies in [-1, 1], where half precision neither overflows nor underflows.

    Attributes:
        time: of the state, aware UTC.
        names: of the n parameters.
        mean: n values, rounded to f32.
        deviations: n standard deviations, f32.
        factor: n(n+1)/2 entries of the lower triangle, f16.
        extra: fields of a newer schema, kept as they came.
    """

    time: datetime
    names: tuple[str, ...]
    mean: tuple[float, ...]
    deviations: tuple[float, ...]
    factor: tuple[float, ...]
    extra: Mapping[int, CborValue] = field(default_factory=dict)

    @classmethod
    def from_covariance(
        cls, time: datetime, names: Sequence[str], mean: NDArray[np.float64], covariance: NDArray[np.float64]
    ) -> Self:
        """A snapshot of ``mean`` (n,) and ``covariance`` (n, n).

        Raises:
            RecordError: ``bad_shape``, ``not_a_number``, or ``not_positive_semidefinite``.
        """
        size = len(names)
        if mean.shape != (size,) or covariance.shape != (size, size) or not 0 < size <= MAX_PARAMETERS:
            raise RecordError("names, mean and covariance do not fit together", reason="bad_shape")
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise RecordError("the state is not finite", reason="not_a_number")
        deviations, factor = _correlation_factor(covariance)
        return cls(
            time=time,
            names=tuple(names),
            mean=_rounded(mean, "<f4"),
            deviations=_rounded(deviations, "<f4"),
            factor=_rounded(factor[np.tril_indices(size)], "<f2"),
        )

    def covariance(self) -> NDArray[np.float64]:
        """The covariance (n, n), positive semidefinite."""
        size = len(self.names)
        lower = np.zeros((size, size))
        lower[np.tril_indices(size)] = self.factor
        lower *= np.asarray(self.deviations)[:, None]
        return lower @ lower.T

    def to_map(self) -> dict[int, CborValue]:
        """The record as a CBOR map; RecordError when a field cannot be sent."""
        size = len(self.names)
        if not 0 < size <= MAX_PARAMETERS or not len(self.mean) == len(self.deviations) == size:
            raise RecordError("names, mean and deviations do not fit together", reason="bad_shape")
        if len(self.factor) != size * (size + 1) // 2:
            raise RecordError("the factor is not a lower triangle", reason="bad_shape")
        return {
            **self.extra,
            _StateKey.TIME: codec.pack_time(self.time),
            _StateKey.NAMES: [codec.pack_text(name, "parameter name") for name in self.names],
            _StateKey.MEAN: np.asarray(self.mean, "<f4").tobytes(),
            _StateKey.DEVIATIONS: np.asarray(self.deviations, "<f4").tobytes(),
            _StateKey.FACTOR: np.asarray(self.factor, "<f2").tobytes(),
        }

    @classmethod
    def from_map(cls, record: RecordMap) -> Self:
        """The record in a decoded map; RecordError ``bad_field`` when it is not one."""
        names = codec.array(record, _StateKey.NAMES)
        size = len(names)
        if not 0 < size <= MAX_PARAMETERS:
            raise codec.bad_field(_StateKey.NAMES)
        return cls(
            time=codec.time(record, _StateKey.TIME),
            names=tuple(codec.text({_StateKey.NAMES: name}, _StateKey.NAMES) for name in names),
            mean=_floats(record, _StateKey.MEAN, "<f4", size),
            deviations=_floats(record, _StateKey.DEVIATIONS, "<f4", size),
            factor=_floats(record, _StateKey.FACTOR, "<f2", size * (size + 1) // 2),
            extra=codec.unknown_fields(record, _StateKey),
        )


def _correlation_factor(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standard deviations (n,) and the lower Cholesky factor of the correlation (n, n)."""
    variances = np.diag(covariance)
    tolerance = 1e-9 * max(1e-300, float(np.abs(covariance).max()))
    if (variances < 0).any() or np.abs(covariance - covariance.T).max() > tolerance:
        raise RecordError("not a covariance", reason="not_positive_semidefinite")
    deviations = np.sqrt(variances)
    scale = np.where(deviations > 0, deviations, 1.0)
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0 + _CORRELATION_JITTER)
    try:
        return deviations, np.linalg.cholesky(correlation)
    except np.linalg.LinAlgError as error:
        raise RecordError("not a covariance", reason="not_positive_semidefinite") from error


def _rounded(values: NDArray[np.float64], kind: str) -> tuple[float, ...]:
    """``values`` at the precision of the wire, so that what is sent equals what was recorded."""
    with np.errstate(over="ignore", under="ignore"):
        narrow = values.astype(kind)
    if not np.isfinite(narrow).all():
        raise RecordError("a value exceeds the range of the wire", reason="not_a_number")
    return tuple(float(value) for value in narrow)


def _floats(record: RecordMap, key: int, kind: str, count: int) -> tuple[float, ...]:
    values = np.frombuffer(codec.raw(record, key, count * np.dtype(kind).itemsize), kind)
    if not np.isfinite(values).all():
        raise codec.bad_field(key)
    return tuple(float(value) for value in values)
