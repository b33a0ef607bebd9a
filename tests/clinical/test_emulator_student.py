"""The shipped emulator against fresh replicates of its stochastic teacher; no PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from edge_twin.bundle import load_bundle
from edge_twin.emulator import Emulator
from edge_twin.engines.network_engines import NumpyNetwork
from edge_twin_models import bundle_path
from edge_twin_models.clone_teacher import ResistantClone
from edge_twin_models.emulator_certify import certificate, crps
from edge_twin_models.emulator_train import clone_sample, replicate

BUNDLE = load_bundle(bundle_path("resistance-emulator"))
EMULATOR = Emulator(BUNDLE)

# Set before the certificate was run.
NONE_ERROR_P95 = 0.05
MEAN_ERROR_IN_SD_P95 = 0.2
LOG_SD_ERROR_P95 = 0.2
COVERAGE = (0.93, 0.97)
CRPS_RATIO = 1.05


def fresh(points: int, replicates: int, seed: int) -> dict[str, float | int]:
    """The certificate on points and replicates that nothing else has seen."""
    sample = clone_sample(points, seed, quasi=False)
    counts = replicate(ResistantClone(), sample, replicates, seed + 1)
    measured = certificate(EMULATOR, NumpyNetwork(EMULATOR.arrays), sample, counts)
    print(measured)
    return measured


def test_fresh_points_are_covered() -> None:
    measured = fresh(30, 80, 4711)
    assert 0.91 <= measured["coverage_95"] <= 0.99  # the level is that of the box, and these are 30 points of it
    assert measured["crps_ratio"] <= 1.1


def test_the_certificate_in_the_bundle_keeps_the_bars() -> None:
    measured = BUNDLE.manifest["certificate"]
    assert measured["points"] * measured["replicates_per_point"] >= 100_000
    assert COVERAGE[0] <= measured["coverage_95"] <= COVERAGE[1]
    assert measured["none_error_p95"] <= NONE_ERROR_P95
    assert measured["mean_error_in_sd_p95"] <= MEAN_ERROR_IN_SD_P95
    assert measured["log_sd_error_p95"] <= LOG_SD_ERROR_P95
    assert measured["crps_ratio"] <= CRPS_RATIO
    assert "building block" in BUNDLE.card


def test_the_score_of_a_normal_forecast_is_its_closed_form() -> None:
    """For X, y standard normal, E|X - y| - E|X - X'|/2 = 1/sqrt(pi)."""
    draws = np.random.default_rng(1).standard_normal((1, 8000))
    assert crps(draws[:, :4000], draws[:, 4000:]) == pytest.approx(1.0 / np.sqrt(np.pi), rel=0.03)


def test_a_sharp_right_forecast_scores_better_than_a_wide_or_a_shifted_one() -> None:
    generator = np.random.default_rng(2)
    truth = generator.standard_normal((1, 2000))
    right, wide, shifted = (
        spread * generator.standard_normal((1, 2000)) + shift for spread, shift in ((1.0, 0.0), (3.0, 0.0), (1.0, 1.0))
    )
    scores = [crps(forecast, truth) for forecast in (right, wide, shifted)]
    assert scores[0] < min(scores[1:])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_hundred_thousand_fresh_replicates_are_covered_as_promised() -> None:
    sample = clone_sample(200, 4713, quasi=False)
    measured = certificate(
        EMULATOR, NumpyNetwork(EMULATOR.arrays), sample, replicate(ResistantClone(), sample, 500, 4714)
    )
    print(measured)
    assert COVERAGE[0] <= measured["coverage_95"] <= COVERAGE[1]
