"""Skill and coverage of the forecast on simulated patients: counts to day 5 against the prior alone.

The patients are drawn from the published population and simulated by the teacher's equations on the reduced
model (their agreement is tested by the oracles); the counts carry the published residual error.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from edge_twin import codes
from edge_twin.assimilation import Counts, assimilate
from edge_twin.contract import Dose, TwinInput
from edge_twin.exposure import DoseEvent
from edge_twin.observation import observe
from edge_twin.program import Program
from edge_twin.reduced_model import ReducedModel
from edge_twin.twin import advance

PATIENTS = 200
COUNT_DAYS = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
GRID = np.arange(0.0, 14.01, 0.25)
NOW = 5.0


def draw(model: ReducedModel, dose_mg: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """True curves [t, patients] and measured counts [counts, patients]."""
    parameters = model.prior_sample(PATIENTS, seed)
    events = (DoseEvent(0.0, dose_mg, 1 / 24),)
    curves = model.simulate(parameters, events, GRID)
    residual = np.random.default_rng(seed).standard_normal((COUNT_DAYS.size, PATIENTS)) * model.residual_log_sd
    return curves, curves[np.searchsorted(GRID, COUNT_DAYS)] * np.exp(residual)


def brier_scores(model: ReducedModel, program: Program, dose: Dose, dose_mg: float) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors with counts to day 5 and with the prior alone, shape [patients] each."""
    curves, measured = draw(model, dose_mg, seed=2026)
    ahead = (GRID >= NOW) & (GRID <= NOW + 7.0)
    happened = (curves[ahead].min(axis=0) < 0.5).astype(float)
    given = Dose(dose.time, "docetaxel", dose_mg, dose.infusion)
    base = TwinInput(dose.time + timedelta(days=NOW), "UTC", program, model, doses=(given,), members=500)
    prior = advance(base).forecast
    assert prior is not None
    with_counts = np.array([_probability(base, measured[:, n]) for n in range(PATIENTS)])
    return (with_counts - happened) ** 2, (prior.p_anc_below_0_5 - happened) ** 2


def _probability(base: TwinInput, counts: np.ndarray) -> float:
    start = base.doses[0].time
    readings = tuple(
        observe(codes.NEUTROPHILS, float(value), start + timedelta(days=float(day)), source="lab")
        for day, value in zip(COUNT_DAYS, counts, strict=True)
    )
    forecast = advance(
        TwinInput(base.now, "UTC", base.program, base.model, readings, doses=base.doses, members=500)
    ).forecast
    assert forecast is not None
    return forecast.p_anc_below_0_5


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("dose_mg_per_m2", "must_exclude_zero"), [(75.0, True), (100.0, False)])
def test_counts_to_day_5_beat_the_prior(
    model: ReducedModel, program: Program, docetaxel: Dose, dose_mg_per_m2: float, *, must_exclude_zero: bool
) -> None:
    with_counts, prior = brier_scores(model, program, docetaxel, 1.8 * dose_mg_per_m2)
    gain = prior - with_counts
    resampled = np.random.default_rng(1).choice(gain, (5000, PATIENTS)).mean(axis=1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    print(
        f"\nBrier of ANC < 0.5 within 7 days at day 5, {PATIENTS} simulated patients, {dose_mg_per_m2:.0f} mg/m2: "
        f"{with_counts.mean():.4f} with counts, {prior.mean():.4f} prior; "
        f"gain {gain.mean():.4f} (95 % {low:.4f} to {high:.4f})"
    )
    assert gain.mean() > 0.0
    # At 100 mg/m2 four patients of five fall below 0.5, which leaves the prior little to be wrong about.
    assert low > 0.0 or not must_exclude_zero


@pytest.mark.timeout(120)
def test_the_interval_covers_later_counts_of_simulated_patients(
    model: ReducedModel, program: Program, docetaxel: Dose
) -> None:
    curves, measured = draw(model, 135.0, seed=77)
    later = np.array([7.0, 9.0, 11.0, 13.0])
    noise = np.random.default_rng(78).standard_normal((later.size, PATIENTS)) * model.residual_log_sd
    counts = curves[np.searchsorted(GRID, later)] * np.exp(noise)
    given = Dose(docetaxel.time, "docetaxel", 135.0, docetaxel.infusion)
    inside = []
    for n in range(60):
        readings = tuple(
            observe(codes.NEUTROPHILS, float(v), docetaxel.time + timedelta(days=float(d)), source="lab")
            for d, v in zip(COUNT_DAYS, measured[:, n], strict=True)
        )
        now = docetaxel.time + timedelta(days=NOW)
        forecast = advance(TwinInput(now, "UTC", program, model, readings, doses=(given,), members=500)).forecast
        assert forecast is not None
        for day, value in zip(later, counts[:, n], strict=True):
            low, high = forecast.band_at(docetaxel.time + timedelta(days=float(day)))
            inside.append(low <= value <= high)
    share = float(np.mean(inside))
    print(
        f"\n95 % interval for a measured count, {len(inside)} later counts of 60 simulated patients: {share:.1%} inside"
    )
    assert 0.90 <= share <= 0.99


def test_the_smoother_agrees_with_importance_sampling(model: ReducedModel) -> None:
    """Importance sampling from the prior needs no Gaussian assumption; it is the reference."""
    events = (DoseEvent(0.0, 135.0, 1 / 24),)
    _, measured = draw(model, 135.0, seed=5)
    pool = model.prior_sample(20_000, 6)
    at_counts = np.log(model.simulate(pool, events, COUNT_DAYS))
    low = model.simulate(pool, events, GRID).min(axis=0) < 0.5
    gaps = []
    for n in range(12):
        misfit = (at_counts - np.log(measured[:, n])[:, None]) / model.residual_log_sd
        log_weights = -0.5 * (misfit**2).sum(axis=0)
        weights = np.exp(log_weights - log_weights.max())
        reference = float((weights * low).sum() / weights.sum())
        ensemble = assimilate(model, events, Counts(COUNT_DAYS, measured[:, n]), 1000, seed=1)
        share = float((model.simulate(ensemble, events, GRID).min(axis=0) < 0.5).mean())
        gaps.append(share - reference)
    largest = float(np.abs(gaps).max())
    print(f"\nP(ANC < 0.5), smoother minus importance sampling: mean {np.mean(gaps):+.3f}, largest {largest:.3f}")
    assert abs(float(np.mean(gaps))) < 0.03
    assert largest < 0.12
