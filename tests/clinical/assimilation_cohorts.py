"""Cohorts for the assimilation's show: ``python tests/clinical/assimilation_cohorts.py [PATIENTS]``.

Two cycles of docetaxel, counts on days 0, 7, 10, 14 and 21; the next cycle's nadir is what is forecast.
One cohort is drawn from the published population by the twin's own equations, unknown to it; the other
is made by another model (Quartino 2014) with between-occasion variability, half of it on G-CSF, and is
forecast by the bundles that the program names, the first one that covers the drugs on record.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_twin.assimilation import DEFAULT, Assimilation, Counts, ObservationOperator
from edge_twin.assimilation.importance import log_likelihood, weights
from edge_twin.assimilation.observing import log_states
from edge_twin.contract import Matrix, Model, Vector
from edge_twin.discrepancy import NO_DISCREPANCY, Discrepancy
from edge_twin.program import load_program
from edge_twin.reduced_model import ReducedModel
from edge_twin.regimens import covering
from edge_twin_models.friberg import DDMODEL00000224
from edge_twin_models.friberg import sample_patients as sample_friberg
from edge_twin_models.mismatch import (
    COUNT_DAYS,
    DOSES,
    MEMBERS,
    OTHER_MEMBERS,
    RESIDUAL_LOG_SD,
    TIMES,
    NadirForecast,
    Simulated,
    forecast_nadir,
    other_patients,
)

DRAWS = 20_000
OTHER_SEED = 9700  # used for nothing but the figures


@dataclass(frozen=True)
class Cohort:
    """Measured counts [counts, patients], true log nadirs of the next cycle [patients], residual."""

    measured: Matrix
    log_nadir: Vector
    log_sd: float


@dataclass(frozen=True)
class Scores:
    """Per patient: absolute log errors of the median, inside the 95 % interval, log width, mismatch flag."""

    error: Vector
    inside: Vector
    width: Vector
    flagged: Vector


def cohort_of(curves: Matrix, log_sd: float, seed: int) -> Cohort:
    """Cohort of true curves [times, patients] at ``TIMES``."""
    at_counts = curves[: COUNT_DAYS.size]
    noise = np.random.default_rng(seed).standard_normal(at_counts.shape)
    return Cohort(at_counts * np.exp(log_sd * noise), np.log(curves[COUNT_DAYS.size - 1 :].min(axis=0)), log_sd)


def matched(model: ReducedModel, patients: int, log_sd: float = 0.15, seed: int = 31) -> Cohort:
    """Patients of the published population."""
    parameters = model.clip(sample_friberg(DDMODEL00000224, patients, seed))
    return cohort_of(model.simulate(parameters, DOSES, TIMES), log_sd, seed + 1)


def score(model: Model, cohort: Cohort, choices: Assimilation = DEFAULT) -> Scores:
    """Forecast the next nadir of every patient as the twin does, discrepancy and mismatch widening included."""
    choices = Assimilation(choices.method, choices.passes, choices.inflation, ObservationOperator(cohort.log_sd))
    forecasts = [forecast_nadir(model, DOSES, Counts(COUNT_DAYS, m), choices, MEMBERS) for m in cohort.measured.T]
    truths = cohort.log_nadir.tolist()
    return _scores([(f, truth, model.discrepancy) for f, truth in zip(forecasts, truths, strict=True)], cohort.log_sd)


@dataclass(frozen=True)
class Others:
    """Patients of another model, each with the forecast of the first model that covers his drugs."""

    patients: Sequence[Simulated]
    forecasts: Sequence[tuple[NadirForecast, Discrepancy]]

    def scores(self, *, gcsf: bool | None = None, discrepancy: bool = True) -> Scores:
        """Of all or of one half, with or without the bundles' discrepancy."""
        rows = [
            (forecast, patient.log_nadir, known if discrepancy else NO_DISCREPANCY)
            for patient, (forecast, known) in zip(self.patients, self.forecasts, strict=True)
            if gcsf in {None, patient.on_gcsf}
        ]
        return _scores(rows, RESIDUAL_LOG_SD)


def others(models: Sequence[Model], count: int, seed: int = OTHER_SEED, variance: float = 1.0) -> Others:
    """Forecast patients of another model."""
    choices = Assimilation(operator=ObservationOperator(RESIDUAL_LOG_SD))
    patients, forecasts = other_patients(count, seed, variance), []
    for patient in patients:
        drugs = frozenset(dose.drug or "docetaxel" for dose in patient.doses)
        model = covering(models, "the doses on record", drugs)
        forecast = forecast_nadir(model, patient.doses, patient.counts, choices, OTHER_MEMBERS)
        forecasts.append((forecast, model.discrepancy))
    return Others(patients, forecasts)


def _scores(rows: Sequence[tuple[NadirForecast, float, Discrepancy]], log_sd: float) -> Scores:
    told = []
    for forecast, truth, discrepancy in rows:
        centre, low, high = forecast.interval(discrepancy, log_sd)
        told.append((abs(centre - truth), low <= truth <= high, high - low, forecast.flagged))
    return Scores(*(np.array(column) for column in zip(*told, strict=True)))


def exact(model: ReducedModel, cohort: Cohort) -> tuple[Vector, Vector]:
    """Absolute log errors of importance sampling's median and of the prior's, shape [patients] each."""
    pool = model.clip(model.prior_sample(DRAWS, 6))
    curves = model.simulate(pool, DOSES, TIMES)
    nadirs, predicted = np.log(curves[COUNT_DAYS.size - 1 :].min(axis=0)), log_states(curves[: COUNT_DAYS.size])
    order = np.argsort(nadirs)
    operator = ObservationOperator(cohort.log_sd)
    medians = []
    for n in range(cohort.log_nadir.size):
        weight = weights(log_likelihood(predicted, Counts(COUNT_DAYS, cohort.measured[:, n]), operator))
        medians.append(nadirs[order][np.searchsorted(np.cumsum(weight[order]), 0.5)])
    return np.abs(np.array(medians) - cohort.log_nadir), np.abs(np.median(nadirs) - cohort.log_nadir)


def describe(name: str, scores: Scores) -> str:
    """One line for people."""
    return (
        f"{name}: {scores.error.size} patients, coverage of the 95 % interval {scores.inside.mean():.1%}, median "
        f"|log error| {np.median(scores.error):.3f}, median width x{np.exp(np.median(scores.width)):.2f}, "
        f"mismatch flags {scores.flagged.mean():.1%}"
    )


def main(patients: int) -> None:
    """Both cohorts, printed."""
    from edge_twin.assimilation import Method  # noqa: PLC0415 - only the script compares methods
    from edge_twin_app.models import load_models  # noqa: PLC0415 - only the script needs the shipped bundles

    models = load_models(load_program("neutropenia"))
    cohort = matched(models[0], patients)
    importance, prior = exact(models[0], cohort)
    print(f"median |log error|: prior {np.median(prior):.3f}, importance sampling {np.median(importance):.3f}")
    print(describe("ES-MDA", score(models[0], cohort)))
    print(describe("EnKF", score(models[0], cohort, Assimilation(Method.ENKF))))
    wide = matched(models[0], patients, RESIDUAL_LOG_SD)
    print(describe("own model, log-sd 0.42", score(models[0], wide)))
    for variance in (1.0, 1.5):
        found = others(models, patients, variance=variance)
        print(*(f"other model, variance x{variance:g}, {line}" for line in described(found)), sep="\n")


def described(found: Others) -> list[str]:
    """All, and the halves without and with G-CSF; each with and without the discrepancy."""
    halves = (("all", None), ("without G-CSF", False), ("with G-CSF", True))
    return [
        describe(f"{name}{told}", found.scores(gcsf=gcsf, discrepancy=used))
        for name, gcsf in halves
        for told, used in (("", True), (", no discrepancy", False))
    ]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
