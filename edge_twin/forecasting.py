"""From an ensemble to a forecast: median, 95 % interval and the probability of a low count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import numpy as np

from edge_twin.calibration import widening
from edge_twin.contract import Answer, Coverage, Forecast, Matrix, Model, Vector
from edge_twin.exposure import DoseEvent
from edge_twin.innovation import Innovations
from edge_twin.low_count import WindowStart
from edge_twin.program import Program
from edge_twin.quantiles import median_and_interval
from edge_twin.randomness import Stream, generator

GRID_DAYS = 0.5  # of the reported curve; the integrator takes its own, smaller steps
TIMES_TOGETHER = 16
SMALLEST_STATE = 1e-6  # 10*9/L, only to keep the logarithm finite


class Span(NamedTuple):
    """The patient's time axis.

    Attributes:
        origin: day 0, the first dose.
        first_day: first day with a count, or 0.
        now_day: float days from ``origin`` to now.
        last_dose_day: float days from ``origin`` to the last dose given.
    """

    origin: datetime
    first_day: float
    now_day: float
    last_dose_day: float = 0.0


class Trajectories(NamedTuple):
    """An ensemble run.

    Attributes:
        days: shape [t]; answer: counts in 10*9/L, shape [t, members], and who computed them.
    """

    days: Vector
    answer: Answer

    @property
    def counts(self) -> Matrix:
        """10*9/L, shape [t, members]."""
        return self.answer.counts

    def with_counts(self, counts: Matrix) -> Trajectories:
        """The same run with other counts."""
        return self._replace(answer=replace(self.answer, counts=counts))


def run_ensemble(
    model: Model, ensemble: Matrix, doses: tuple[DoseEvent, ...], span: Span, program: Program
) -> Trajectories:
    """The ensemble from the first count to the end of the horizon, and at least to the end of the cycle."""
    last = max(span.now_day + program.horizon_days, span.last_dose_day + program.cycle_days)
    first = min(0.0, np.floor(span.first_day / GRID_DAYS) * GRID_DAYS)
    days = np.arange(first, last + GRID_DAYS, GRID_DAYS)
    return Trajectories(days, model.answer(ensemble, doses, days))


def with_discrepancy(run: Trajectories, model: Model, occasion: float | None, seed: int) -> Trajectories:
    """The trajectories with the uncertainty of a new occasion.

    Args:
        run: of the ensemble.
        model: gives the discrepancy and the residual error.
        occasion: day of the dose that begins it, see ``discrepancy.new_occasion``; None leaves ``run`` as it is.
        seed: of the factors.
    """
    if occasion is None:
        return run
    first = max(int(np.searchsorted(run.days, occasion, side="right")) - 1, 0)
    at_dose = _logs(run.counts[first])
    counts = run.counts.copy()

    def uncertain(rows: Matrix) -> Matrix:
        return np.exp(model.discrepancy.apply(_logs(rows), at_dose, model.residual_log_sd, seed))

    _change_rows(counts[first:], uncertain)
    return run.with_counts(counts)


def summarise(  # noqa: PLR0913 - each argument is one ingredient of the forecast and named at the call
    run: Trajectories,
    *,
    span: Span,
    program: Program,
    residual_log_sd: float,
    seed: int,
    counts_used: int,
    coverage: Coverage,
    compared: Innovations,
) -> Forecast:
    """Forecast of one ensemble run; see :class:`~edge_twin.contract.Forecast`.

    A student's error against its teacher is added to every member, then the spread about the median is widened
    by what was counted on this patient and by the innovations when they do not fit; both on the log scale, and
    before intervals and probabilities are taken, so that these tell the same.
    """
    factor = interval_widening(coverage, compared, program)
    student_median = median_and_interval(run.counts)[0] if run.answer.by_student.any() else None
    run = widened(with_surrogate_error(run, seed), factor)
    median, state_lower, state_upper = median_and_interval(run.counts)
    if student_median is not None:  # the draws of the error may not move the centre
        median = student_median
    lower, upper = measured_interval(run.counts, factor * residual_log_sd, seed)
    ahead = run.days >= span.now_day
    lowest = int(np.argmin(np.where(run.days >= span.last_dose_day, median, np.inf)))  # not an earlier cycle's
    needed = program.threshold("forecast", "coverage_counts_needed")
    return Forecast(
        origin=span.origin,
        days=run.days,
        median=median,
        lower=lower,
        upper=upper,
        state_lower=state_lower,
        state_upper=state_upper,
        p_below=probability_below(run, ahead & (run.days <= _window_end(span, program)), program.low_threshold),
        nadir_day=float(run.days[lowest]),
        nadir=float(median[lowest]),
        counts_used=counts_used,
        interval_counted=coverage.seen >= needed,
        interval_widening=factor,
        p_mismatch=compared.p_mismatch,
        surrogate_log_half_width=run.answer.log_half_width,
        residual_log_sd=residual_log_sd,
        event=program.low_count(),
    )


def interval_widening(coverage: Coverage, compared: Innovations, program: Program) -> float:
    """Factor, at least 1, on the log half-width: counted misses, and the Birge ratio once the model does not fit."""
    mismatch = compared.p_mismatch <= program.threshold("forecast", "mismatch_probability")
    return max(widening(coverage), compared.birge_ratio if mismatch else 1.0)


def widened(run: Trajectories, factor: float) -> Trajectories:
    """The trajectories with their log distance from the median multiplied by ``factor``."""
    if factor == 1.0:
        return run
    counts = run.counts.copy()

    def spread(rows: Matrix) -> Matrix:
        logs = _logs(rows)
        centre = np.median(logs, axis=1, keepdims=True)
        return np.asarray(np.exp(centre + factor * (logs - centre)))

    _change_rows(counts, spread)
    return run.with_counts(counts)


def _logs(counts: Matrix) -> Matrix:
    return np.asarray(np.log(np.maximum(counts, SMALLEST_STATE)))


def _change_rows(counts: Matrix, change: Callable[[Matrix], Matrix]) -> None:
    """Change ``counts`` in place, some times after others: what ``change`` needs in between stays small."""
    for first in range(0, len(counts), TIMES_TOGETHER):
        rows = slice(first, first + TIMES_TOGETHER)
        counts[rows] = change(counts[rows])


def with_surrogate_error(run: Trajectories, seed: int) -> Trajectories:
    """Each member that a student computed, moved by one draw of the student's error; others stay as they are."""
    return run.with_counts(moved_by_surrogate_error(run.answer, seed))


def moved_by_surrogate_error(answer: Answer, seed: int) -> Matrix:
    """Counts [t, n] after one draw of the student's error for each member, the same at all times.

    Args:
        answer: of a model.
        seed: of the draws.
    """
    if not answer.by_student.any():
        return answer.counts
    draws = generator(seed, Stream.SURROGATE).standard_normal(answer.counts.shape[1])
    return np.asarray(answer.counts * np.exp(answer.log_sd * draws))


def probability_below(run: Trajectories, when: np.ndarray, threshold: float) -> float:
    """Share of members that fall below ``threshold`` at any grid point of the mask ``when``."""
    if not when.any():
        return 0.0
    lowest = np.min(run.counts, axis=0, where=when[:, None], initial=np.inf)
    return float((lowest < threshold).mean())


def _window_end(span: Span, program: Program) -> float:
    """Last day of the window in which a low count is the program's event."""
    start = span.last_dose_day if program.count.window_from is WindowStart.LAST_DOSE else span.now_day
    return start + program.threshold("forecast", "window_days")


def measured_interval(counts: Matrix, residual_log_sd: float, seed: int) -> tuple[Vector, Vector]:
    """95 % interval [t], [t] of what a laboratory would report, some times after others to keep the copies small.

    Each member has the same residual at all times, which keeps the band smooth.
    """
    normal = generator(seed, Stream.RESIDUAL).standard_normal(counts.shape[1])
    residual = np.asarray(residual_log_sd * normal, np.float64)
    lower, upper = np.empty((2, len(counts)))
    for first in range(0, len(counts), TIMES_TOGETHER):
        rows = slice(first, first + TIMES_TOGETHER)
        _, lower[rows], upper[rows] = median_and_interval(_as_measured(counts[rows], residual))
    return lower, upper


def _as_measured(counts: Matrix, residual: Vector) -> Matrix:
    """What a laboratory would report for each member."""
    measured = np.maximum(counts, SMALLEST_STATE)
    np.log(measured, out=measured)
    measured += residual
    return np.exp(measured, out=measured)
