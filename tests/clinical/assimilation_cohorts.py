"""Cohorts for the assimilation's show: ``python tests/clinical/assimilation_cohorts.py [PATIENTS]``.

Two cycles of docetaxel, counts on days 0, 7, 10, 14 and 21; the next cycle's nadir is what is forecast.
One cohort is drawn from the published population by the twin's own equations, unknown to it; the other
is made by another model (Quartino 2014) with between-occasion variability, half of it on G-CSF.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from edge_twin.assimilation import DEFAULT, Assimilation, Counts, ObservationOperator, assimilate
from edge_twin.assimilation.importance import log_likelihood, weights
from edge_twin.assimilation.observing import log_states
from edge_twin.contract import Matrix, Vector
from edge_twin.exposure import DoseEvent
from edge_twin.innovation import innovations
from edge_twin.quantiles import median_and_interval
from edge_twin.reduced_model import ReducedModel
from edge_twin_models.friberg import DDMODEL00000224
from edge_twin_models.friberg import sample_patients as sample_friberg
from edge_twin_models.quartino import Filgrastim, on_occasions, sample_patients, simulate_quartino

DOSES = (DoseEvent(0.0, 180.0, 1 / 24), DoseEvent(21.0, 180.0, 1 / 24))
COUNT_DAYS = np.array([0.0, 7.0, 10.0, 14.0, 21.0])
NEXT_CYCLE = np.arange(21.0, 42.01, 0.5)
TIMES = np.concatenate((COUNT_DAYS[:-1], NEXT_CYCLE))
MEMBERS, DRAWS = 1000, 20_000
GCSF = (Filgrastim(2.0, 7), Filgrastim(23.0, 7))
MISMATCH_P = 0.01


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


def mismatched(patients: int, log_sd: float = 0.42, seed: int = 41) -> Cohort:
    """Patients of another model, every other one on G-CSF."""
    curves = [
        simulate_quartino(on_occasions(patient, 2, seed + 1 + n), DOSES, TIMES, filgrastim=GCSF if n % 2 else ())
        for n, patient in enumerate(sample_patients(patients, seed))
    ]
    return cohort_of(np.array(curves).T, log_sd, seed)


def score(model: ReducedModel, cohort: Cohort, choices: Assimilation = DEFAULT, *, widen: bool = True) -> Scores:
    """Forecast the next nadir of every patient as the twin does, mismatch widening included."""
    choices = Assimilation(choices.method, choices.passes, choices.inflation, ObservationOperator(cohort.log_sd))
    rows = [_score_one(model, cohort, n, choices, widen=widen) for n in range(cohort.log_nadir.size)]
    return Scores(*(np.array(column) for column in zip(*rows, strict=True)))


def _score_one(
    model: ReducedModel, cohort: Cohort, n: int, choices: Assimilation, *, widen: bool
) -> tuple[float, bool, float, bool]:
    counts = Counts(COUNT_DAYS, cohort.measured[:, n])
    ensemble = assimilate(model, DOSES, counts, MEMBERS, 1, choices)
    nadirs = np.log(model.simulate(ensemble, DOSES, NEXT_CYCLE).min(axis=0))
    compared = innovations(model, DOSES, counts, members=MEMBERS, seed=1, choices=choices)
    flagged = compared.p_mismatch <= MISMATCH_P
    factor = compared.birge_ratio if flagged and widen else 1.0
    centre, low, high = (float(v[0]) for v in median_and_interval(nadirs[None, :]))
    low, high = centre + factor * (low - centre), centre + factor * (high - centre)
    truth = float(cohort.log_nadir[n])
    return abs(centre - truth), low <= truth <= high, high - low, flagged


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
    from edge_twin.bundle import load_bundle  # noqa: PLC0415 - as above
    from edge_twin.engines import select_engine  # noqa: PLC0415 - as above
    from edge_twin_models import bundle_path  # noqa: PLC0415 - as above

    bundle = load_bundle(bundle_path("neutropenia"))
    model = ReducedModel(bundle, select_engine(bundle))
    cohort = matched(model, patients)
    importance, prior = exact(model, cohort)
    print(f"median |log error|: prior {np.median(prior):.3f}, importance sampling {np.median(importance):.3f}")
    print(describe("ES-MDA", score(model, cohort)))
    print(describe("EnKF", score(model, cohort, Assimilation(Method.ENKF))))
    other = mismatched(patients)
    print(describe("other model, widened", score(model, other)))
    print(describe("other model, not widened", score(model, other, widen=False)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
