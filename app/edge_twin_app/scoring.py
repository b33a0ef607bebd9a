"""Forecasts of each next count, scored: coverage, pinball loss, Brier score, against LOCF and the prior."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_twin.assimilation import DEFAULT, Counts, assimilate
from edge_twin.contract import Coverage, Model
from edge_twin.discrepancy import new_occasion
from edge_twin.exposure import DoseEvent
from edge_twin.forecasting import interval_widening
from edge_twin.innovation import Innovations, innovations
from edge_twin.low_count import LowCount
from edge_twin.program import Program
from edge_twin.randomness import Stream, generator
from edge_twin.regimens import covering
from edge_twin_app.count_table import PatientRows

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
METHODS = ("twin", "prior", "locf")
SMALLEST = 0.01  # 10*9/L, below what any counter resolves; only keeps logarithms finite
RESAMPLES = 2000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scorer:
    """Scores one patient after the other as the twin would have forecast them.

    Attributes:
        models: in order of preference; the first that covers the drugs given so far forecasts.
        program: of the disease; gives the mismatch rule.
        members: of each ensemble.
        seed: of ensembles and noise.
    """

    models: Sequence[Model]
    program: Program
    members: int
    seed: int

    def scores(self, patient: PatientRows) -> Iterator[tuple[str, Floats]]:
        """(method, scores [metrics]) for every count that has an earlier one, from the earlier ones alone.

        Raises:
            ProgramError: ``regimen_not_covered``, naming the drug.
        """
        doses, counts = _record(patient)
        for day, value in zip(counts.days.tolist(), counts.values.tolist(), strict=True):
            known = counts.until(day)
            if known.days.size == 0:
                continue
            given = tuple(dose for dose in doses if dose.start_day < day)
            last = np.full(self.members, np.log(max(float(known.values[-1]), SMALLEST)))
            model = self._model(given)
            noise = generator(self.seed, Stream.SCORING).standard_normal(self.members) * model.residual_log_sd
            twin, factor = self._twin(model, given, known, day)
            prior = _logs(model.simulate(model.prior_sample(self.members, self.seed), given, np.array([day])))[0]
            # The last count and the next one both carry the laboratory's error.
            for method, logs, spread in zip(METHODS, (twin, prior, last), (factor, 1.0, np.sqrt(2.0)), strict=True):
                yield method, score(logs + spread * noise, max(value, SMALLEST), self.program.low_threshold)

    def mismatch(self, patient: PatientRows) -> bool:
        """Whether the mismatch flag is up after all counts of the patient."""
        doses, counts = _record(patient)
        compared = self._innovations(self._model(doses), doses, counts)
        return compared.p_mismatch <= self.program.threshold("forecast", "mismatch_probability")

    def _model(self, doses: tuple[DoseEvent, ...]) -> Model:
        drugs = frozenset(dose.drug or self.program.drug for dose in doses)
        return covering(self.models, "the doses on record", drugs or frozenset({self.program.drug}))

    def _twin(self, model: Model, given: tuple[DoseEvent, ...], known: Counts, day: float) -> tuple[Floats, float]:
        """Log counts [members] at ``day`` as the twin forecasts them, and the factor on every spread."""
        ensemble = assimilate(model, given, known, self.members, self.seed)
        occasion = new_occasion([dose.start_day for dose in given if not dose.drug], known.days)
        if occasion is None:
            logs = _logs(model.simulate(ensemble, given, np.array([day])))[0]
        else:
            at_dose, later = _logs(model.simulate(ensemble, given, np.array([occasion, day])))
            logs = model.discrepancy.apply(later[None, :], at_dose, model.residual_log_sd, self.seed)[0]
        factor = interval_widening(Coverage(), self._innovations(model, given, known), self.program)
        centre = float(np.median(logs))
        return centre + factor * (logs - centre), factor

    def _innovations(self, model: Model, given: tuple[DoseEvent, ...], known: Counts) -> Innovations:
        return innovations(model, given, known, members=self.members, seed=self.seed, choices=DEFAULT)


def _record(patient: PatientRows) -> tuple[tuple[DoseEvent, ...], Counts]:
    """Doses and counts in days since the first dose of the program's own drug."""
    origin = patient.origin
    doses = tuple(replace(dose, start_day=dose.start_day - origin) for dose in patient.doses)
    rows = np.array(patient.counts, dtype=np.float64)
    return doses, Counts(rows[:, 0] - origin, rows[:, 1], rows[:, 2] > 0.0)


def _logs(counts: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(counts, SMALLEST)))


def metrics(event: LowCount) -> tuple[str, ...]:
    """Names of the scores; the Brier score carries the threshold of its event."""
    brier = f"brier_{event.probability_name.removeprefix('p_')}"
    return ("coverage_50", "coverage_80", "coverage_95", "pinball", brier, "abs_log_error", "log_width_95")


def score(log_sample: Floats, value: float, threshold: float) -> Floats:
    """[metrics] of one forecast sample for one measured value in 10*9/L; pinball loss on the log scale."""
    truth = np.log(value)
    quantiles = np.quantile(log_sample, LEVELS)
    inside = [quantiles[i] <= truth <= quantiles[-1 - i] for i in (2, 1, 0)]
    gaps = truth - quantiles
    pinball = np.maximum(np.array(LEVELS) * gaps, (np.array(LEVELS) - 1.0) * gaps).mean()
    brier = (np.mean(log_sample < np.log(threshold)) - float(value < threshold)) ** 2
    return np.array([*inside, pinball, brier, abs(gaps[3]), quantiles[-1] - quantiles[0]], dtype=np.float64)


def summarised(
    method: str, by_patient: list[Floats], seed: int, names: tuple[str, ...]
) -> dict[str, float | int | str]:
    """One row: means over counts with 95 % bootstrap intervals over patients.

    Args:
        method: its name.
        by_patient: scores [counts, metrics] of each patient.
        seed: of the bootstrap.
        names: see :func:`metrics`.
    """
    sums, sizes = np.array([s.sum(axis=0) for s in by_patient]), np.array([len(s) for s in by_patient])
    chosen = np.random.default_rng(seed).integers(len(sizes), size=(RESAMPLES, len(sizes)))
    means = sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1)[:, None]
    low, high = np.quantile(means, (0.025, 0.975), axis=0)
    row: dict[str, float | int | str] = {"method": method, "patients": len(sizes), "counts": int(sizes.sum())}
    for index, name in enumerate(names):
        row[name] = float(sums[:, index].sum() / sizes.sum())
        row[f"{name}_low"], row[f"{name}_high"] = float(low[index]), float(high[index])
    return row
