"""Jost's leukocyte model (variant M3, without G-CSF) for an ensemble, in numpy.

Equations (Jost et al., PLOS One 2019;14:e0204540), every cell count as a share of the patient's baseline:
a proliferating pool P, one transit compartment T, circulating leukocytes c,

    P' = ktr·P·(g - 1)     g = (1 - E)·c**(-gamma) while E < 1, else 1 - E;  E = slope·ln(1 + C)
    T' = ktr·(P - T),  c' = kwbc·(T - c)

ln P is advanced with the mean of max(1 - E, 0) and of E over the step, taken by quadrature of the exact
concentration; the feedback is taken at the middle of the step (second order). T and c are advanced by
the Taylor series of their exponentials, driven by the parabola through start, middle and end of what
flows in, so that the steady state is exact.
"""

from __future__ import annotations

from math import factorial

import numpy as np
from numpy.typing import NDArray

from edge_twin.concentration import QUADRATURE_POINTS, QUADRATURE_WEIGHTS
from edge_twin.engines.checks import checked_arrays

Floats = NDArray[np.float64]

PARAMETERS = ("wbc0", "ktr", "slope", "gamma")
"""Order of the log parameters: 10*9/L, 1/d, 1, 1."""
STEP_COLUMNS = 1 + len(QUADRATURE_POINTS)
"""Step length in days, then ln(1 + C) at the quadrature points."""

DEFAULT_CHUNK = 1000
CIRCULATING_FLOOR = 1e-9  # only a guard for the logarithm, as a share of the baseline
TRANSIT_ORDER = 5  # of the Taylor series in ktr·dt, at most 0.2 in the envelope
LOSS_ORDER = 9  # in kwbc·dt, about 0.6 at a quarter of a day: remainder below 1e-8
# Coefficients by powers of s of the parabola through the values at the start, the middle and the end.
_PARABOLA = np.array([[1.0, -3.0, 2.0], [0.0, 4.0, -4.0], [0.0, -1.0, 2.0]])
# Before the step its course is unknown: T is predicted at its quarter and middle with P kept constant,
# T0 + (P0 - T0)·(x·share - (x·share)²/2), x = ktr·dt, and c in the middle follows from these.
_AHEAD = np.array([[1.0, 0, 0], [0, 0, 0], [0, 1 / 4, -1 / 32], [0, 1 / 2, -1 / 8]])


def response_table(order: int, share: float = 1.0) -> Floats:
    """Response of y' = r·(f - y) at a share of a step, f a parabola over the step.

    Args:
        order: of the Taylor series in x = r·dt.
        share: of the step that has passed.

    Returns:
        [order, 4]: coefficients of x**m, m = 0..order-1, for (y, f start, f middle, f end).
    """
    table = np.zeros((order, 4))
    table[0, 0] = 1.0
    for power in range(1, order):
        table[power, 0] = (-share) ** power / factorial(power)
        # share·∫(1 - s)**m·(share·s)**n ds = share**(n+1)·m!·n!/(m+n+1)!, the series of exp(-x·share·(1-s)) inside.
        m = power - 1
        moments = [share ** (n + 1) * factorial(m) * factorial(n) / factorial(m + n + 1) for n in range(3)]
        table[power, 1:] = (-share) ** m / factorial(m) * (_PARABOLA @ moments)
    return table


TRANSIT_TABLE = np.stack([response_table(TRANSIT_ORDER, share) for share in (0.5, 1.0)], axis=1)
"""[order, 2, 4]: T in the middle and at the end, from (T, P start, P middle, P end)."""


def _step_table() -> Floats:
    halves = 0.5 ** np.arange(LOSS_ORDER)[:, None]
    middle = halves * response_table(LOSS_ORDER) @ _AHEAD
    return np.hstack((middle, response_table(LOSS_ORDER)))


STEP_TABLE = _step_table()
"""[order, 7]: by powers of kwbc·dt. c in the middle from (c - T, x·(P - T), x²·(P - T)),
c at the end from (c, T, T, T)."""


class NumpyJost:
    """Vectorised over members, in place, in chunks.

    Args:
        kwbc_per_day: loss rate of circulating leukocytes, 1/d.
        chunk: members advanced together.
    """

    name = "numpy"

    def __init__(self, kwbc_per_day: float, chunk: int = DEFAULT_CHUNK) -> None:
        self._kwbc = kwbc_per_day
        self._chunk = chunk

    def simulate(self, log_parameters: Floats, steps: Floats) -> Floats:
        """Circulating leukocytes at each node.

        Args:
            log_parameters: [n, 4] natural logarithms in the order of ``PARAMETERS``.
            steps: [k, 4], see ``STEP_COLUMNS``.

        Returns:
            [k + 1, n] in 10*9/L, starting at the members' baseline.

        Raises:
            BundleError: ``engine_input`` for wrong shapes or values that are not finite.
        """
        parameters = checked_arrays(log_parameters, steps, len(PARAMETERS), STEP_COLUMNS)
        powers = (self._kwbc * steps[:, :1]) ** np.arange(LOSS_ORDER)
        responses = powers @ STEP_TABLE
        output = np.empty((len(steps) + 1, len(parameters)))
        for first in range(0, len(parameters), self._chunk):
            members = slice(first, first + self._chunk)
            _Ensemble(parameters[members]).run(steps, responses, output[:, members])
        return output

    def trajectory(self, log_parameters: Floats, lengths_days: Floats, log_effects: Floats, state: Floats) -> Floats:
        """All states at each node, each member with its own concentrations; not in chunks.

        Args:
            log_parameters: [n, 4].
            lengths_days: [k] of the steps.
            log_effects: [k, 3, n] ln(1 + C) at the quadrature points of every step.
            state: [3, n] ln P, T, c to start from, fractions of the baseline.

        Returns:
            [k + 1, 3, n] ln P, T, c.

        Raises:
            BundleError: ``engine_input`` for values that are not finite or lengths that are not positive.
        """
        steps = np.column_stack((lengths_days, log_effects.max(axis=2)))
        parameters = checked_arrays(log_parameters, steps, len(PARAMETERS), STEP_COLUMNS)
        responses = (self._kwbc * lengths_days[:, None]) ** np.arange(LOSS_ORDER) @ STEP_TABLE
        ensemble = _Ensemble(parameters)
        ensemble.start(state)
        nodes = np.empty((len(lengths_days) + 1, *state.shape))
        nodes[0] = state
        rows = zip(lengths_days.tolist(), log_effects, responses.tolist(), strict=True)
        for index, (length, effects, response) in enumerate(rows, start=1):
            ensemble.step(length, effects, response)
            nodes[index] = ensemble.log_pool, ensemble.driven[0], ensemble.circulating
        return nodes


class _Ensemble:
    """State and buffers of one chunk; all counts are shares of the baseline."""

    def __init__(self, log_parameters: Floats) -> None:
        self.wbc0, self.ktr, self.slope, gamma = np.exp(log_parameters.T)
        self.minus_gamma = -gamma
        members = len(log_parameters)
        self.driven = np.ones((4, members))  # T; P at the start, the middle and the end of the step
        self.transit = np.ones((2, members))  # T in the middle and at the end
        self.terms = np.empty((TRANSIT_ORDER * 2, members))
        self.circulating = np.ones(members)
        # The logarithm is the state: P itself may fall below what a float can hold, and must come back.
        self.log_pool = np.zeros(members)
        self.passed = np.empty(members)
        self.feedback = np.empty(members)
        self.scratch = np.empty(members)
        self.effects = np.empty((len(QUADRATURE_POINTS), members))

    def run(self, steps: Floats, responses: Floats, output: Floats) -> None:
        """Write the circulating count of every node into ``output`` [k + 1, n]."""
        output[0] = 1.0
        for index, (step, response) in enumerate(zip(steps, responses.tolist(), strict=True), start=1):
            self.step(step[0], step[1:, None], response)
            output[index] = self.circulating
        output *= self.wbc0

    def start(self, state: Floats) -> None:
        """Begin from ln P, T, c [3, n] instead of the steady state."""
        self.log_pool[...], self.driven[0], self.circulating[...] = state
        np.exp(self.log_pool, out=self.driven[1])

    def step(self, length_days: float, log_concentrations: Floats, response: list[float]) -> None:
        """Advance by one step; ln(1 + C) at the quadrature points is [3, 1] or [3, n]."""
        np.multiply(self.ktr, length_days, out=self.passed)
        self._middle_feedback(response[:3])
        self._proliferate(log_concentrations)
        self._mature(response[3:])

    def _middle_feedback(self, response: list[float]) -> None:
        """c**(-gamma) half a step ahead: T + h·(c - T) + (a·x + b·x²)·(P - T)."""
        keep, first, second = response
        transit, pool = self.driven[:2]
        feedback, scratch = self.feedback, self.scratch
        np.multiply(self.passed, second, out=feedback)
        feedback += first
        feedback *= self.passed
        np.subtract(pool, transit, out=scratch)
        feedback *= scratch
        np.subtract(self.circulating, transit, out=scratch)
        scratch *= keep
        feedback += scratch
        feedback += transit
        np.maximum(feedback, CIRCULATING_FLOOR, out=feedback)
        np.log(feedback, out=feedback)
        feedback *= self.minus_gamma
        np.exp(feedback, out=feedback)

    def _proliferate(self, log_concentrations: Floats) -> None:
        """P in the middle and at the end: Δln P = x·[m·(fb - 1) - E], m the mean of max(1 - E, 0)."""
        growth = self.feedback
        growth -= 1.0
        if log_concentrations.any():
            np.multiply(log_concentrations, self.slope, out=self.effects)
            np.matmul(QUADRATURE_WEIGHTS, self.effects, out=self.scratch)
            np.subtract(1.0, self.effects, out=self.effects)
            np.maximum(self.effects, 0.0, out=self.effects)
            growth *= QUADRATURE_WEIGHTS @ self.effects
            growth -= self.scratch
        growth *= self.passed
        growth *= 0.5
        for pulse in self.driven[2:]:
            self.log_pool += growth
            np.exp(self.log_pool, out=pulse)

    def _mature(self, response: list[float]) -> None:
        """T in the middle and at the end, by Horner's rule in x, then c at the end."""
        np.matmul(TRANSIT_TABLE.reshape(-1, 4), self.driven, out=self.terms)
        terms = self.terms.reshape(TRANSIT_ORDER, 2, -1)
        self.transit[...] = terms[-1]
        for term in terms[-2::-1]:
            self.transit *= self.passed
            self.transit += term
        keep, start, middle, end = response
        self.circulating *= keep
        self.circulating += start * self.driven[0]
        self.circulating += middle * self.transit[0]
        self.circulating += end * self.transit[1]
        self.driven[0] = self.transit[1]
        self.driven[1] = self.driven[3]
