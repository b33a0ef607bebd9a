"""One patient's twin as an object: a thin cover over the pure functions, every operation gives a new twin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from edge_twin.assimilation import Counts
from edge_twin.bundle import load_bundle
from edge_twin.contract import Coverage, Dose, Model, TwinInput, TwinOutput
from edge_twin.errors import ProgramError, StateError
from edge_twin.observation import Observation, Origin, observe
from edge_twin.opening import model_of
from edge_twin.program import Program
from edge_twin.regimens import covering
from edge_twin.signing import DEVELOPMENT_TRUST, TrustedKeys
from edge_twin.twin import advance, counts_of, dose_events

if TYPE_CHECKING:
    from edge_twin.patient_state import PatientState
    from edge_twin.rehearsal import NextCycle, Rehearsed

NOTHING_COUNTED = Coverage()


def open_bundle(
    path: Path, engine: str | None = None, *, behind: Path | None = None, trusted: TrustedKeys = DEVELOPMENT_TRUST
) -> Model:
    """A verified bundle on the fastest engine that reproduces its golden vectors.

    Args:
        path: of the signed archive.
        engine: preferred one.
        behind: of the mechanistic bundle that answers where a learned course may not; only that kind needs one.
        trusted: keys whose signature counts; a site passes ``TrustedKeys.load`` of its own file.

    Raises:
        BundleError: when a bundle cannot be trusted or run; ``fallback_missing``.
    """
    fallback = None if behind is None else open_bundle(behind, engine, trusted=trusted)
    return model_of(load_bundle(path, trusted), engine, fallback)


@dataclass(frozen=True)
class PatientTwin:
    """A patient's twin.

    Attributes:
        model: the reduced model.
        program: the disease program.
        doses: what was given.
        counts: of the program's count so far.
        coverage: how earlier forecasts fared.
        time_zone: the patient's IANA zone.
        seed: of the virtual population.
        further_models: asked, in this order, for drugs that ``model`` does not know.
    """

    model: Model
    program: Program
    doses: tuple[Dose, ...] = ()
    counts: tuple[Observation, ...] = ()
    coverage: Coverage = NOTHING_COUNTED
    time_zone: str = "UTC"
    seed: int = 1
    further_models: tuple[Model, ...] = ()

    def given(self, *doses: Dose) -> Self:
        """The twin after more doses."""
        return replace(self, doses=tuple(sorted({*self.doses, *doses}, key=lambda dose: dose.time)))

    def counted(self, value: float, time: datetime, *, below: bool = False) -> Self:
        """The twin after one more count in 10*9/L; ``below`` when the laboratory reported "less than".

        Raises:
            ObservationError: ``not_a_number`` or ``naive_time``.
        """
        attributes = {"comparator": "<"} if below else None
        reading = observe(
            self.program.count.code, value, time, source="patient_twin", origin=Origin.LAB, attributes=attributes
        )
        return replace(self, counts=(*self.counts, reading))

    @classmethod
    def resumed(cls, state: PatientState, model: Model, program: Program, first_dose: datetime) -> Self:
        """The twin that goes on from a saved state, bit for bit as the one that was saved.

        Args:
            state: see :func:`restore`; it holds no date.
            model: of the bundle that the state belongs to.
            program: as before.
            first_dose: when day 0 was, aware UTC.

        Raises:
            StateError: ``other_model`` when the state belongs to another bundle.
        """
        from edge_twin.patient_state import check_model  # noqa: PLC0415 - as in PatientTwin.save

        check_model(model, state)
        at, counts = partial(_at, first_dose), state.counts
        doses = (
            Dose(at(d.start_day), d.drug or program.drug, d.amount_mg, timedelta(days=d.infusion_days))
            for d in state.doses
        )
        twin = cls(model, program, seed=state.seed).given(*doses)
        below = np.zeros(counts.days.size, np.bool_) if counts.below is None else counts.below
        for day, value, limit in zip(counts.days.tolist(), counts.values.tolist(), below.tolist(), strict=True):
            twin = twin.counted(value, at(day), below=limit)
        return twin

    def forecast(self, now: datetime) -> TwinOutput:
        """Assimilate everything known at ``now`` and forecast: see :func:`edge_twin.twin.advance`."""
        return advance(self._input(now))

    def rehearse(self, planned: NextCycle, now: datetime) -> tuple[Rehearsed, ...]:
        """What each listed way of giving the next cycle would do; information, never a recommendation.

        A regimen that no model covers is left out; :func:`edge_twin.rehearsal.refused_regimens` names it.

        Raises:
            ProgramError: as :func:`edge_twin.rehearsal.rehearse_with`; ``no_dose_on_record`` without an ensemble.
        """
        from edge_twin.rehearsal import candidates, rehearse_with  # noqa: PLC0415 - a forecast does not need its memory

        given = self._input(now)
        known = replace(given, doses=self._known(now))
        covering(known.models, planned.dose.drug, frozenset(dose.drug for dose in (*known.doses, planned.dose)))
        found = candidates(known, advance(given), planned)
        if not found:
            raise ProgramError("a rehearsal needs the doses given so far", reason="no_dose_on_record")
        return rehearse_with(found, known.doses, planned, self.program, seed=self.seed)

    def explain(self, now: datetime) -> tuple[str, ...]:
        """Sentences: what the counts changed, whether they fit, who computed it, and what limits the trust."""
        output = self.forecast(now)
        if output.posterior is None or output.forecast is None:
            return tuple(f"Refused: {refusal.value}." for refusal in output.refusals)
        prior = self._model(output).prior_sample(output.posterior.log_parameters.shape[0], self.seed)
        shift = np.exp(output.posterior.mean - prior.mean(axis=0))
        learned = tuple(
            f"{name}: {factor:.2f} times the population's typical value."
            for name, factor in zip(output.posterior.names, shift, strict=True)
        )
        fit = f"Counts as strange as these have probability {output.forecast.p_mismatch:.3f} when the model is right."
        who = f"Computed by {output.engine} with {output.model_id}."
        if output.handed_over:
            who = f"{who} The learned student handed over: {', '.join(output.handed_over)}."
        return (*learned, fit, who, *(f"Reservation: {refusal.value}." for refusal in output.refusals))

    def save(self, now: datetime) -> bytes:
        """The ensemble, doses and counts as a portable file: see :mod:`edge_twin.patient_state`.

        Raises:
            StateError: ``nothing_to_save`` before the first dose.
        """
        from edge_twin.patient_state import PatientState, save_state  # noqa: PLC0415 - as above

        output = self.forecast(now)
        posterior, known = output.posterior, self._known(now)
        if posterior is None:
            raise StateError("there is no ensemble before the first dose", reason="nothing_to_save")
        origin = next(dose.time for dose in known if dose.drug == self.program.drug)
        counts: Counts = counts_of([c for c in self.counts if c.time <= now and c.is_usable], origin)
        events = dose_events(known, origin)
        return save_state(
            PatientState(output.model_id, posterior.names, posterior.log_parameters, events, counts, self.seed)
        )

    def _input(self, now: datetime) -> TwinInput:
        return TwinInput(
            now,
            self.time_zone,
            self.program,
            self.model,
            self.counts,
            doses=self.doses,
            coverage=self.coverage,
            seed=self.seed,
            further_models=self.further_models,
        )

    def _known(self, now: datetime) -> tuple[Dose, ...]:
        return tuple(dose for dose in self.doses if dose.time <= now)

    def _model(self, output: TwinOutput) -> Model:
        return next(model for model in (self.model, *self.further_models) if model.id == output.model_id)


def restore(content: bytes) -> PatientState:
    """The state that :meth:`PatientTwin.save` wrote.

    Raises:
        StateError: when it is not one.
    """
    from edge_twin.patient_state import restore_state  # noqa: PLC0415 - as in PatientTwin.save

    return restore_state(content)


def _at(origin: datetime, day: float) -> datetime:
    """The moment of a float day; exact, as moments are whole microseconds."""
    return origin + timedelta(days=day)
