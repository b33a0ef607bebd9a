"""One patient's tumour in a reduced field, as the twin's model: every assimilation of ``edge_twin`` works on it.

The output is the total cellularity; the parameters are those of the equation; the start is the measured map of
one scan, and radiotherapy is part of the patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle, outside_envelope, prior_sample
from edge_twin.contract import Answer, log_sd_of
from edge_twin.discrepancy import NO_DISCREPANCY, Discrepancy
from edge_twin.engines.numpy_field import FieldEngine
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin.field import FieldModel, FieldRun, Fraction, Treatment

Floats = NDArray[np.float64]


class FieldPatient:
    """See ``contract.Model``.

    Args:
        bundle: verified, of a reduced field.
        engine: chosen by ``field_engines.select_field_engine`` for the same bundle.
        start: [r] coefficients of the measured map, see ``FieldModel.project``.
        start_day: of that scan, on the axis of doses, fractions and times.
        fractions: of radiotherapy, given and planned.
    """

    def __init__(
        self, bundle: Bundle, engine: FieldEngine, start: Floats, start_day: float, fractions: Sequence[Fraction] = ()
    ) -> None:
        self._bundle, self._engine = bundle, engine
        self._model = FieldModel(bundle)
        self._start, self._start_day, self._fractions = start, start_day, tuple(fractions)

    @property
    def id(self) -> str:
        """Name and version of the bundle."""
        return f"{self._bundle.id}@{self._bundle.version}"

    @property
    def engine_name(self) -> str:
        """The engine that runs it."""
        return self._engine.name

    @property
    def expires(self) -> datetime:
        """After this time its answers carry the ``bundle_expired`` refusal."""
        return self._bundle.expires

    @property
    def drugs(self) -> frozenset[str]:
        """Lower-case generic names of the drugs that the bundle covers together."""
        return self._bundle.drugs

    @property
    def discrepancy(self) -> Discrepancy:
        """None is known for a field."""
        return NO_DISCREPANCY

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return self._bundle.parameter_names

    @property
    def residual_log_sd(self) -> float:
        """Standard deviation of ln(measured) - ln(modelled) total cellularity."""
        return self._bundle.residual_log_sd

    @property
    def surrogate_log_sd(self) -> float:
        """Standard deviation of ln(reduced field) - ln(teacher)."""
        return log_sd_of(self._model.band.log_cellularity)

    @property
    def log_box(self) -> tuple[Floats, Floats]:
        """Bounds of the log parameters, two arrays [parameters]."""
        return self._bundle.log_low, self._bundle.log_high

    def prior_sample(self, members: int, seed: int) -> Floats:
        """Log parameters of a virtual population, moved into the box: outside it nothing can be computed."""
        return self.clip(prior_sample(self._bundle, members, seed))

    def clip(self, log_parameters: Floats) -> Floats:
        """Log parameters moved into the box, [members, parameters]."""
        return np.clip(log_parameters, *self.log_box)

    def covers_doses(self, doses: Sequence[DoseEvent]) -> bool:
        """Whether the dosing lies inside the validity envelope."""
        return not outside_envelope(self._bundle, doses=doses)

    def run(self, log_parameters: Floats, doses: Sequence[DoseEvent], times_days: Floats) -> FieldRun:
        """Coefficients on the requested days, [t, n, r] (also for volume, extent and pictures).

        Raises:
            BundleError: ``times_invalid`` for times before the scan; see also ``FieldModel.run``.
        """
        if len(times_days) == 0 or times_days[0] < self._start_day:
            raise BundleError("a time lies before the scan", reason="times_invalid")
        later = times_days[0] > self._start_day
        days = np.concatenate(([self._start_day], times_days)) if later else times_days
        starts = np.tile(self._start, (len(log_parameters), 1))
        given = Treatment(self._fractions, tuple(doses))
        run = self._model.run(self._engine, starts, log_parameters, days, given)
        return FieldRun(times_days, run.coefficients[int(later) :], run.inside)

    def simulate(self, log_parameters: Floats, doses: Sequence[DoseEvent], times_days: Floats) -> Floats:
        """Total cellularity in mm³, [t, n].

        Raises:
            BundleError: ``state_outside_envelope`` when a member's state is unlike those of the training; see
                also ``run``.
        """
        return self._model.cellularity(self.run(log_parameters, doses, times_days).checked().coefficients)

    def answer(self, log_parameters: Floats, doses: Sequence[DoseEvent], times_days: Floats) -> Answer:
        """The outputs of ``simulate`` with who computed them."""
        total = self.simulate(log_parameters, doses, times_days)
        return Answer(
            total, np.ones(total.shape[1], np.bool_), (), (self.engine_name,), self._model.band.log_cellularity
        )
