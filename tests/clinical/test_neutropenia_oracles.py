"""Oracles of the neutropenia model: models.md §2.1 (computed from the published equations and parameters)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_twin.bundle import load_bundle
from edge_twin.engines.numpy_friberg import NumpyFriberg
from edge_twin.engines.onnxruntime_engine import OnnxRuntimeEngine
from edge_twin.exposure import DoseEvent, exposure_grid
from edge_twin_models import bundle_path
from edge_twin_models.friberg import (
    DDMODEL00000224,
    DOCETAXEL_PK,
    KLOFT_2006,
    ParameterRow,
    measure,
    sample_patients,
    simulate_patient,
)

Floats = NDArray[np.float64]
Simulator = Callable[[ParameterRow, DoseEvent, Floats], Floats]

BOLUS = DoseEvent(0.0, 180.0)
INFUSION = DoseEvent(0.0, 180.0, 1.0 / 24.0)
TENTHS = np.arange(401) / 10.0
BODY_SURFACE_M2 = 1.8
OMEGA2 = DDMODEL00000224.omega2


def teacher(row: ParameterRow, dose: DoseEvent, times: Floats) -> Floats:
    return simulate_patient(row.typical, [dose], times)


def numpy_engine(row: ParameterRow, dose: DoseEvent, times: Floats) -> Floats:
    grid = exposure_grid(DOCETAXEL_PK, [dose], times)
    return np.asarray(NumpyFriberg().simulate(row.typical.log_parameters[None, :], grid.steps)[grid.report, 0])


def onnxruntime_engine(row: ParameterRow, dose: DoseEvent, times: Floats) -> Floats:
    grid = exposure_grid(DOCETAXEL_PK, [dose], times)
    engine = OnnxRuntimeEngine(load_bundle(bundle_path("neutropenia")))
    return np.asarray(engine.simulate(row.typical.log_parameters[None, :], grid.steps)[grid.report, 0])


SIMULATORS = [teacher, numpy_engine, onnxruntime_engine]


def days_below(limit: float, times: Floats, counts: Floats) -> float:
    """Time under a limit, crossings found by linear interpolation."""
    fine = np.linspace(times[0], times[-1], 40_001)
    return float((np.interp(fine, times, counts) < limit).mean() * (times[-1] - times[0]))


@pytest.mark.parametrize("simulate", SIMULATORS)
def test_bolus_of_180_mg(simulate: Simulator) -> None:
    counts = simulate(KLOFT_2006, BOLUS, TENTHS)
    assert counts.min() == pytest.approx(0.2676, rel=0.01)
    assert TENTHS[counts.argmin()] == pytest.approx(8.2, abs=0.1)
    assert counts[[70, 140, 210, 400]] == pytest.approx([0.352, 2.881, 6.746, 5.251], rel=0.01)
    assert days_below(0.5, TENTHS, counts) == pytest.approx(4.0, abs=0.1)
    assert days_below(1.0, TENTHS, counts) == pytest.approx(6.5, abs=0.1)


@pytest.mark.parametrize("simulate", SIMULATORS)
def test_infusion_over_one_hour(simulate: Simulator) -> None:
    counts = simulate(KLOFT_2006, INFUSION, TENTHS)
    assert counts.min() == pytest.approx(0.2677, rel=0.01)
    assert TENTHS[counts.argmin()] == pytest.approx(8.3, abs=0.1)


def test_peak_concentration_and_total_exposure() -> None:
    grid = exposure_grid(DOCETAXEL_PK, [INFUSION], np.linspace(0.0, 40.0, 401))
    assert grid.concentration.max() == pytest.approx(4.43, rel=0.01)
    assert grid.steps[:, 1].sum() == pytest.approx(0.24122, rel=1e-4)


@pytest.mark.parametrize("dose", [BOLUS, INFUSION])
def test_steps_from_a_quarter_to_a_hundredth_day_agree(dose: DoseEvent) -> None:
    results = []
    for step in (0.25, 0.1, 0.05, 0.01):
        grid = exposure_grid(DOCETAXEL_PK, [dose], np.arange(41.0), max_step_days=step)
        results.append(NumpyFriberg().simulate(KLOFT_2006.typical.log_parameters[None, :], grid.steps)[:, 0])
    nadirs = [float(result.min()) for result in results]
    assert max(nadirs) / min(nadirs) - 1.0 < 1e-3


@pytest.mark.parametrize("step", [0.25, 0.1, 0.05, 0.01])
def test_every_step_length_follows_the_teacher(step: float) -> None:
    days = np.arange(41.0)
    grid = exposure_grid(DOCETAXEL_PK, [INFUSION], days, max_step_days=step)
    counts = NumpyFriberg().simulate(KLOFT_2006.typical.log_parameters[None, :], grid.steps)[grid.report, 0]
    np.testing.assert_allclose(counts, simulate_patient(KLOFT_2006.typical, [INFUSION], days), rtol=2e-3)


def test_a_step_longer_than_the_infusion_does_not_diverge() -> None:
    # A scheme that assumed step > infusion length once diverged at 0.01 d: ten minutes and a whole day here.
    for length in (1.0 / 144.0, 1.0):
        grid = exposure_grid(DOCETAXEL_PK, [DoseEvent(0.0, 180.0, length)], np.arange(41.0), max_step_days=0.01)
        counts = NumpyFriberg().simulate(KLOFT_2006.typical.log_parameters[None, :], grid.steps)
        assert 0.2 < counts.min() < 0.3


@pytest.mark.parametrize(
    ("row", "shares", "median_nadir"),
    [(KLOFT_2006, (0.76, 0.49, 0.27), 0.262), (DDMODEL00000224, (0.81, 0.56, 0.34), 0.215)],
)
def test_population_shares_below_half(
    row: ParameterRow, shares: tuple[float, float, float], median_nadir: float
) -> None:
    population = ParameterRow(row.typical, OMEGA2, None, row.source)
    members = sample_patients(population, 4000, seed=7)
    for per_square_metre, expected in zip((100.0, 75.0, 60.0), shares, strict=True):
        dose = DoseEvent(0.0, per_square_metre * BODY_SURFACE_M2)
        nadirs = (
            NumpyFriberg().simulate(members, exposure_grid(DOCETAXEL_PK, [dose], np.arange(22.0)).steps).min(axis=0)
        )
        assert float((nadirs < 0.5).mean()) == pytest.approx(expected, abs=0.04)
        if per_square_metre == 100.0:
            # The sampling error of this median is 3 % at 4000 members (log-sd of the nadir about 1.5).
            assert float(np.median(nadirs)) == pytest.approx(median_nadir, rel=0.08)


def test_residual_error_has_the_stated_spread() -> None:
    measured = measure(np.full(20_000, 3.0), 0.424, seed=3)
    assert np.log(measured / 3.0).std() == pytest.approx(0.424, rel=0.02)
    assert np.median(measured) == pytest.approx(3.0, rel=0.02)


def test_without_drug_nothing_moves() -> None:
    members = sample_patients(DDMODEL00000224, 50, seed=1)
    grid = exposure_grid(DOCETAXEL_PK, [], np.arange(181.0))
    counts = NumpyFriberg().simulate(members, grid.steps)
    np.testing.assert_allclose(counts, np.broadcast_to(np.exp(members[:, 0]), counts.shape), rtol=1e-12)
