"""How much more likely the last days are if an illness began on some day than if nothing happened.

For each candidate day on which a stream's response may have started, the residuals of the last weeks,
freed of what the day before explains, are compared under "response of this size" and "no response" with a
heavy-tailed (Student t) likelihood; sizes, 0 among them, are averaged over a prior, so that a stream without
a response costs little. Symptoms begin some days after (or before) a response starts: averaging over that
lead gives one ratio per candidate day of onset, on an axis that all streams share and that reaches into the
days to come.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_twin.detection.baseline import Baseline, Series
from edge_twin.detection.settings import FilterSettings, StreamSettings

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_LARGEST_LOG_RATIO = 60.0  # keeps the exponential finite; evidence beyond it changes nothing
_LARGEST_RESIDUAL = 7.0  # scales; a larger one says no more than this, and no less
_LARGEST_CARRY = 6.0  # scales that one day may carry into the next


class ResponseKernel:
    """One stream's response laid out on the grid of candidate days; made once for each stream.

    Args:
        stream: the stream.
        onset: days of the filter.
    """

    def __init__(self, stream: StreamSettings, onset: FilterSettings) -> None:
        self._stream = stream
        ages = onset.memory_days
        self._response = _response_table(stream.response, ages)
        self._sizes = np.array(stream.amplitudes[1:])
        self._per_freedom = 1.0 / stream.degrees_of_freedom
        self._half_power = 0.5 * (stream.degrees_of_freedom + 1.0)
        self._log_weights = np.log(np.array(stream.amplitude_weights) / sum(stream.amplitude_weights))
        self._mixing, self._unseen = _lead_table(stream, onset, ages)

    def log_ratios(self, series: Series, baseline: Baseline, today: int) -> Vector:
        """Log-likelihood ratio for each candidate day of onset, from the oldest to the last one ahead.

        Args:
            series: the stream's values of the last ``memory_days``, at least one.
            baseline: this person's baseline.
            today: the day of the answer.
        """
        ages = np.asarray(today - series.days, dtype=np.intp)
        whitened, shapes = self._whitened(ages, self._stream.sign * baseline.residuals(series), baseline)
        ratios = self._rise_log_ratios(whitened, shapes, self._unit(baseline))
        mixed = self._mixing @ np.exp(np.minimum(ratios, _LARGEST_LOG_RATIO)) + self._unseen
        return np.asarray(np.log(mixed), dtype=np.float64)

    def _unit(self, baseline: Baseline) -> float:
        """The unit of an amplitude in scales of this person: between a person's own scale and the usual one."""
        return float((self._stream.usual_scale / baseline.scale) ** (1.0 - self._stream.unit_exponent))

    def _whitened(self, ages: NDArray[np.intp], residuals: Vector, baseline: Baseline) -> tuple[Vector, Matrix]:
        """[days] residuals in scales without what the day before explains; [days, ages] the same of a response."""
        scaled = np.minimum(np.maximum(residuals / baseline.scale, -_LARGEST_RESIDUAL), _LARGEST_RESIDUAL)
        carried = np.zeros(len(ages))
        carried[1:] = baseline.persistence ** (ages[:-1] - ages[1:])
        before = np.zeros(len(ages))
        before[1:] = np.minimum(np.maximum(scaled[:-1], -_LARGEST_CARRY), _LARGEST_CARRY)
        inverse = 1.0 / np.sqrt(1.0 - carried * carried)
        shapes = self._response[ages].copy()
        shapes[1:] -= carried[1:, None] * self._response[ages[:-1]]
        return (scaled - carried * before) * inverse, shapes * inverse[:, None]

    def _rise_log_ratios(self, whitened: Vector, shapes: Matrix, unit: float) -> Vector:
        """[ages] log-likelihood ratio of a response that started so many days ago, sizes averaged out."""
        total = self._log_weights[:, None] + np.zeros(shapes.shape[1])
        left = whitened[:, None] - (unit * self._sizes)[:, None, None] * shapes
        total[1:] += self._half_power * (self._tails(whitened)[None] - self._tails(left))
        top = total.max(axis=0)
        return np.asarray(top + np.log(np.exp(total - top).sum(axis=0)), dtype=np.float64)

    def _tails(self, standardised: Vector) -> Vector:
        """Sum over days of ln(1 + z*z/degrees of freedom), as the logarithm of one product.

        A product of ``memory_days`` factors stays finite because residuals are bounded before.
        """
        return np.asarray(
            np.log(
                (1.0 + standardised * standardised * self._per_freedom).prod(axis=-2 if standardised.ndim > 1 else -1)
            ),
            dtype=np.float64,
        )


def _response_table(response: tuple[float, ...], ages: int) -> Matrix:
    """[age of the day, age of the start] response on a day when it started so many days ago; 0 before it."""
    shape = np.full(ages, response[-1])
    shape[: len(response)] = response[:ages]
    since = np.arange(ages)[None, :] - np.arange(ages)[:, None]
    return np.asarray(np.where(since >= 0, shape[np.maximum(since, 0)], 0.0), dtype=np.float64)


def _lead_table(stream: StreamSettings, onset: FilterSettings, ages: int) -> tuple[Matrix, Vector]:
    """[onset, age of the start] and [onset]: weights of starts already seen, and of those still to come."""
    onsets = np.arange(-onset.onset_back_days, onset.onset_ahead_days + 1)
    mixing, unseen = np.zeros((len(onsets), ages)), np.zeros(len(onsets))
    for lead, weight in zip(stream.leads, stream.lead_weights, strict=True):
        start_ages = (int(lead) - onsets).astype(int)
        for row, age in enumerate(start_ages):
            if age < 0:
                unseen[row] += weight
            else:
                mixing[row, min(age, ages - 1)] += weight
    total = sum(stream.lead_weights)
    return mixing / total, unseen / total
