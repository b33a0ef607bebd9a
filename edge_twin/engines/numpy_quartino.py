"""Neutrophils with endogenous and given G-CSF, for an ensemble, in numpy.

Equations: Quartino et al., Pharm Res 2014;31:3390-403; every cell count as a fraction of its steady state, the
factor as g = G / G0:

    P'  = ktr·P·[(1 - slope·Cp)·g**gamma - g**beta]        ktr = 5 / MTT
    T1' = ktr·g**beta·(P - T1), ... T4;  c' = kcirc·(g**beta·T4 - c)
    g'  = loss(1) + given / G0 - loss(c)·g                 loss(c) = ke + kANC·circ0·c

The loss acts on G as a whole. G is far faster than the cells (its rate is some hundred per day), so it is
advanced exactly for the count in the middle of the step, and its mean over the step drives the cells: ln P with
the exact exposure of the step, the chain by the classical Runge-Kutta rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin.engines.checks import checked_arrays

Floats = NDArray[np.float64]

PARAMETERS = ("circ0", "mtt", "slope", "gamma", "beta")
"""Order of the log parameters: 10*9/L, h, L/µmol, 1, 1."""
STEP_COLUMNS = 3
"""Step length in days, exposure in µmol·d/L, G-CSF that enters the serum during the step in ng/L."""

CHAIN = 5  # T1..T4, c
STAGE_HOURS = CHAIN * 24.0  # ktr in 1/d times MTT in h: five transfers
CIRCULATING_FLOOR = 1e-9  # only a guard for the logarithm, as a fraction of the baseline
DEFAULT_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class FactorKinetics:
    """What all patients share.

    Attributes:
        kcirc_per_day: loss rate of circulating neutrophils, 1/d.
        ke_per_day: loss of G-CSF without neutrophils, 1/d.
        kanc_per_day: loss of G-CSF for each 10*9/L of neutrophils, 1/d.
        g0_ng_per_l: endogenous steady state.
    """

    kcirc_per_day: float
    ke_per_day: float
    kanc_per_day: float
    g0_ng_per_l: float


class NumpyQuartino:
    """Vectorised over members, in place, in chunks.

    Args:
        kinetics: see ``FactorKinetics``.
        chunk: members advanced together.
    """

    name = "numpy"

    def __init__(self, kinetics: FactorKinetics, chunk: int = DEFAULT_CHUNK) -> None:
        self._kinetics = kinetics
        self._chunk = chunk

    def simulate(self, log_parameters: Floats, steps: Floats) -> Floats:
        """Circulating neutrophils at each node.

        Args:
            log_parameters: [n, 5] natural logarithms in the order of ``PARAMETERS``.
            steps: [k, 3], see ``STEP_COLUMNS``.

        Returns:
            [k + 1, n] in 10*9/L, starting at the members' baseline.

        Raises:
            BundleError: ``engine_input`` for wrong shapes or values that are not finite.
        """
        parameters = checked_arrays(log_parameters, steps, len(PARAMETERS), STEP_COLUMNS)
        output = np.empty((len(steps) + 1, len(parameters)))
        for first in range(0, len(parameters), self._chunk):
            members = slice(first, first + self._chunk)
            _Ensemble(parameters[members], self._kinetics).run(steps, output[:, members])
        return output


class _Ensemble:
    """State and buffers of one chunk."""

    def __init__(self, log_parameters: Floats, kinetics: FactorKinetics) -> None:
        self.circ0, mtt, self.slope, self.gamma, self.beta = np.exp(log_parameters.T)
        self.kinetics = kinetics
        self.ktr = STAGE_HOURS / mtt
        self.loss_by_cells = kinetics.kanc_per_day * self.circ0
        self.production = kinetics.ke_per_day + self.loss_by_cells
        members = len(log_parameters)
        # The logarithm is the state: P itself may fall below what a float can hold, and must come back.
        self.log_pool = np.zeros(members)
        self.pulses = np.ones((3, members))  # P at the start, the middle and the end of the step
        self.cells = np.ones((CHAIN, members))
        self.factor, self.mean_factor = np.ones(members), np.ones(members)
        self.speed, self.growth, self.scratch = (np.empty(members) for _ in range(3))
        self.rates_in, self.rates_out = np.empty((CHAIN, members)), np.empty((CHAIN, members))
        self.above, self.trial = np.empty((CHAIN, members)), np.empty((CHAIN, members))
        self.slopes, self.total = np.empty((CHAIN, members)), np.empty((CHAIN, members))

    def run(self, steps: Floats, output: Floats) -> None:
        """Write the circulating count of every node into ``output`` [k + 1, n]."""
        output[0] = 1.0
        for index, (duration, exposure, given) in enumerate(steps.tolist(), start=1):
            self._move_factor(duration, given / self.kinetics.g0_ng_per_l)
            self._proliferate(duration, exposure)
            self._mature(duration)
            output[index] = self.cells[-1]
        output *= self.circ0

    def _move_factor(self, duration: float, given: float) -> None:
        """Move g to the end of the step, exactly for the count in its middle, and keep its mean."""
        loss, decay = self._middle_loss(duration), self.growth
        target = np.add(self.production, given / duration, out=self.speed)
        target /= loss
        loss *= -duration
        np.expm1(loss, out=decay)  # minus the share of the distance that is passed
        away = np.subtract(self.factor, target, out=self.factor)
        np.divide(decay, loss, out=self.mean_factor)
        self.mean_factor *= away
        self.mean_factor += target
        decay += 1.0
        away *= decay
        away += target

    def _middle_loss(self, duration: float) -> Floats:
        """loss(c) half a step ahead."""
        kcirc, middle = self.kinetics.kcirc_per_day, self.scratch
        np.log(self.factor, out=middle)
        middle *= self.beta
        np.exp(middle, out=middle)
        middle *= self.cells[-2]
        middle -= self.cells[-1]
        middle *= 0.5 * duration * kcirc
        middle += self.cells[-1]
        np.maximum(middle, CIRCULATING_FLOOR, out=middle)
        middle *= self.loss_by_cells
        middle += self.kinetics.ke_per_day
        return middle

    def _proliferate(self, duration: float, exposure: float) -> None:
        """P in the middle and at the end, and g**beta of the step's mean g."""
        log_factor, growth = self.scratch, self.growth
        np.log(self.mean_factor, out=log_factor)
        np.multiply(self.beta, log_factor, out=self.speed)
        np.exp(self.speed, out=self.speed)
        log_factor *= self.gamma
        np.exp(log_factor, out=log_factor)
        np.multiply(self.slope, -exposure, out=growth)
        growth += duration
        growth *= log_factor
        np.multiply(self.speed, duration, out=self.scratch)
        growth -= self.scratch
        growth *= self.ktr
        growth *= 0.5
        for pulse in self.pulses[1:]:
            self.log_pool += growth
            np.exp(self.log_pool, out=pulse)

    def _mature(self, duration: float) -> None:
        """One step of the classical Runge-Kutta rule for the chain, driven by P."""
        kcirc = self.kinetics.kcirc_per_day
        np.multiply(self.ktr, self.speed, out=self.rates_in[:-1])
        self.rates_out[:-1] = self.rates_in[:-1]
        np.multiply(self.speed, kcirc, out=self.rates_in[-1])
        self.rates_out[-1] = kcirc
        self.trial[...] = self.cells
        self.total.fill(0.0)
        for pulse, weight, ahead in zip((0, 1, 1, 2), (1.0, 2.0, 2.0, 1.0), (0.5, 0.5, 1.0, 0.0), strict=True):
            self._change(self.pulses[pulse])
            np.multiply(self.slopes, ahead * duration, out=self.trial)
            self.trial += self.cells
            self.slopes *= weight * duration / 6.0
            self.total += self.slopes
        self.cells += self.total
        self.pulses[0] = self.pulses[2]

    def _change(self, pulse: Floats) -> None:
        """Derivative of the chain at ``trial`` into ``slopes``."""
        self.above[0] = pulse
        self.above[1:] = self.trial[:-1]
        np.multiply(self.rates_in, self.above, out=self.slopes)
        np.multiply(self.rates_out, self.trial, out=self.above)
        self.slopes -= self.above
