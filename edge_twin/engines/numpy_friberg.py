"""The Friberg myelosuppression model for an ensemble, in numpy: the engine that is always there.

Equations (Friberg et al., J Clin Oncol 2002;20:4713-21), every cell count as a fraction of the
patient's baseline: a proliferating pool P, three transit compartments, circulating cells c,

    P'  = ktr·P·[(1 - slope·Cp)·c**(-gamma) - 1]       ktr = 4 / MTT
    T1' = ktr·(P - T1), T2' = ktr·(T1 - T2), T3' = ktr·(T2 - T3), c' = ktr·(T3 - c)

ln P is advanced with the exact AUC of the step, so a step may be far longer than the drug's
distribution. The feedback is taken at the middle of the step (second order) and the linear chain by
its Taylor series to fourth order, driven by moments of P(t) from Simpson's rule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_twin.engines.checks import checked_arrays
from edge_twin.errors import BundleError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PARAMETERS = ("circ0", "mtt", "slope", "gamma")
"""Order of the log parameters: 10*9/L, h, L/µmol, 1."""
STEP_COLUMNS = 2
"""Step length in days, exposure in µmol·d/L."""

STATE_SIZE = 5  # ln P and the four linear compartments
DEFAULT_CHUNK = 1000  # the state (150 kB) still fits a 512 kB cache; smaller chunks pay more calls than they save
HOURS_PER_DAY = 24.0
TRANSIT_RATE_COUNT = 4.0  # ktr = (transit compartments + 1) / MTT
CIRCULATING_FLOOR = 1e-9  # only a guard for the logarithm, as a fraction of the baseline
# Means of P over a step under the weights m·(1 - s)**(m - 1), m = 1..4, by Simpson's rule:
# coefficients of P at the start, the middle and the end of the step.
FORCING_MOMENTS = np.array([[1 / 6, 4 / 6, 1 / 6], [1 / 3, 2 / 3, 0], [1 / 2, 1 / 2, 0], [2 / 3, 1 / 3, 0]])


class NumpyFriberg:
    """Vectorised over members, in place, in chunks; the arrays of a chunk are kept for the next call.

    Therefore one engine serves one thread at a time.

    Args:
        chunk: members advanced together.
    """

    name = "numpy"

    def __init__(self, chunk: int = DEFAULT_CHUNK) -> None:
        self._chunk = chunk
        self._ensembles: dict[int, _Ensemble] = {}

    def simulate(self, log_parameters: Floats, steps: Floats) -> Floats:
        """Circulating neutrophils at each node.

        Args:
            log_parameters: [n, 4] natural logarithms in the order of ``PARAMETERS``.
            steps: [k, 2] step length in days and exposure in µmol·d/L.

        Returns:
            [k + 1, n] in 10*9/L, starting at the members' baseline.

        Raises:
            BundleError: ``engine_input`` for wrong shapes or values that are not finite.
        """
        return self.simulate_reported(log_parameters, steps, np.arange(len(steps) + 1))

    def simulate_reported(self, log_parameters: Floats, steps: Floats, report: Integers) -> Floats:
        """The same at some nodes only, which are all that is kept: a long course has many times more.

        Args:
            log_parameters: see ``simulate``.
            steps: see ``simulate``.
            report: [t] increasing indices of nodes, 0 to k.

        Returns:
            [t, n].

        Raises:
            BundleError: as ``simulate``.
        """
        parameters = checked_input(log_parameters, steps)
        output = np.empty((len(report), len(parameters)))
        for first in range(0, len(parameters), self._chunk):
            members = slice(first, first + self._chunk)
            self._ensemble(parameters[members]).run(steps, report, output[:, members])
        return output

    def _ensemble(self, log_parameters: Floats) -> _Ensemble:
        """At steady state; the arrays for whole chunks and for the last number of members that was less are kept."""
        members = len(log_parameters)
        if members not in self._ensembles:
            self._ensembles = {size: kept for size, kept in self._ensembles.items() if size == self._chunk}
            self._ensembles[members] = _Ensemble(members)
        ensemble = self._ensembles[members]
        ensemble.begin(log_parameters)
        return ensemble

    def trajectory(self, log_parameters: Floats, steps: Floats, state: Floats) -> Floats:
        """The whole state at each node, from a given one: what a cycle operator is distilled from.

        Args:
            log_parameters: [n, 4] in the order of ``PARAMETERS``.
            steps: [k, 2] common to all members, or [k, 2, n] own steps of each; see ``simulate``.
            state: [5, n] ln P, T1, T2, T3, c, every cell count as a fraction of the baseline.

        Returns:
            [k + 1, 5, n], same quantities; row 0 is ``state``.

        Raises:
            BundleError: ``engine_input`` for values that are not finite or shapes that do not fit.
        """
        members = len(log_parameters)
        fits = state.shape == (STATE_SIZE, members) and steps.shape[1:] in {(2,), (2, members)}
        if not (fits and all(bool(np.isfinite(values).all()) for values in (log_parameters, steps, state))):
            raise BundleError("parameters, steps and state must be finite and fit", reason="engine_input")
        ensemble = self._ensemble(log_parameters)
        ensemble.restore(state)
        nodes = np.empty((len(steps) + 1, STATE_SIZE, members))
        nodes[0] = state
        for index, (duration, exposure) in enumerate(steps, start=1):
            ensemble.advance(duration, exposure)
            nodes[index, 0], nodes[index, 1:] = ensemble.log_proliferating, ensemble.chain
        return nodes


def checked_input(log_parameters: Floats, steps: Floats) -> Floats:
    """The log parameters as float64 [n, 4] once both arrays are well formed.

    Raises:
        BundleError: ``engine_input``.
    """
    return checked_arrays(log_parameters, steps, len(PARAMETERS), STEP_COLUMNS)


class _Ensemble:
    """State and buffers of one chunk; all counts are fractions of the baseline."""

    def __init__(self, members: int) -> None:
        self.natural = np.empty((4, members))  # circ0, mtt, slope, gamma
        self.circ0 = self.natural[0]
        self.rate, self.kill, self.minus_gamma = np.empty((3, members))
        self.pulses = np.empty((3, members))  # P at the start, the middle and the end of the step
        # The logarithm is the state: P itself may fall below what a float can hold, and must come back.
        self.log_proliferating = np.empty(members)
        self.moments = np.empty((4, members))
        self.chain = np.empty((4, members))
        self.trial = np.empty((5, members))  # row 0: forcing; rows 1-4: inner value of the Taylor series
        self.slopes = np.empty((4, members))
        self.transits = np.empty(members)
        self.feedback = np.empty(members)
        self.growth = np.empty(members)
        self.curvature = np.empty(members)

    def begin(self, log_parameters: Floats) -> None:
        """Members of log parameters [n, 4] at steady state."""
        np.exp(log_parameters.T, out=self.natural)
        _, mtt, slope, gamma = self.natural
        np.divide(TRANSIT_RATE_COUNT * HOURS_PER_DAY, mtt, out=self.rate)
        np.multiply(self.rate, slope, out=self.kill)
        np.negative(gamma, out=self.minus_gamma)
        self.pulses[...] = self.chain[...] = 1.0
        self.log_proliferating[...] = 0.0

    def restore(self, state: Floats) -> None:
        """Continue from ``state`` [5, n]: ln P, T1, T2, T3, c as fractions of the baseline."""
        self.log_proliferating[...], self.chain[...] = state[0], state[1:]
        np.exp(self.log_proliferating, out=self.pulses[0])

    def run(self, steps: Floats, report: Integers, output: Floats) -> None:
        """Write the circulating count at the nodes ``report`` into the rows of ``output`` [t, n]."""
        rows = dict(zip(report.tolist(), output, strict=True))
        if 0 in rows:
            rows[0][...] = self.circ0
        for index, (duration, exposure) in enumerate(steps[: report.max(initial=0)].tolist(), start=1):
            self.advance(duration, exposure)
            if index in rows:
                np.multiply(self.chain[3], self.circ0, out=rows[index])

    def advance(self, duration: float | Floats, exposure: float | Floats) -> None:
        """One step of ``duration`` days with ``exposure`` µmol·d/L, common or [n]."""
        np.multiply(self.rate, duration, out=self.transits)
        self._middle_feedback()
        self._proliferate(exposure)
        self._transit()
        self.pulses[0] = self.pulses[2]

    def _middle_feedback(self) -> None:
        """c**(-gamma) half a step h ahead: c + h·c' + h²·c''/2 with c' = ktr·(T3 - c), h = dt/2.

        The second derivative counts: without it the error of a quarter-day step is ten times larger.
        """
        second, third, circulating = self.chain[1:]
        feedback, half, curvature = self.feedback, self.growth, self.curvature
        np.multiply(self.transits, 0.5, out=half)
        np.subtract(third, circulating, out=feedback)
        np.subtract(second, third, out=curvature)
        curvature -= feedback
        curvature *= half
        curvature *= 0.5
        feedback += curvature
        feedback *= half
        feedback += circulating
        np.maximum(feedback, CIRCULATING_FLOOR, out=feedback)
        np.log(feedback, out=feedback)
        feedback *= self.minus_gamma
        np.exp(feedback, out=feedback)

    def _proliferate(self, exposure: float | Floats) -> None:
        """P in the middle and at the end: Δln P = ktr·[(fb - 1)·dt - slope·AUC·fb]."""
        growth = self.growth
        if np.any(exposure):
            np.multiply(self.kill, np.negative(exposure), out=growth)
            growth += self.transits
            growth *= self.feedback
        else:
            np.multiply(self.transits, self.feedback, out=growth)
        growth -= self.transits
        growth *= 0.5
        for pulse in self.pulses[1:]:
            self.log_proliferating += growth
            np.exp(self.log_proliferating, out=pulse)

    def _transit(self) -> None:
        """Advance the chain: nested Taylor series of y' = x·(shifted y - y), innermost term first."""
        trial, inner, slopes, fraction = self.trial, self.trial[1:], self.slopes, self.growth
        np.matmul(FORCING_MOMENTS, self.pulses, out=self.moments)
        inner[...] = self.chain
        for order in (4, 3, 2, 1):
            trial[0] = self.moments[order - 1]
            np.subtract(trial[:-1], inner, out=slopes)
            np.multiply(self.transits, 1.0 / order, out=fraction)
            slopes *= fraction
            np.add(self.chain, slopes, out=inner)
        self.chain[...] = inner
