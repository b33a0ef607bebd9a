"""Patients unknown to the twin: the next cycle's nadir against importance sampling, and on another model's patients."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edge_twin.program import load_program
from edge_twin.reduced_model import ReducedModel
from edge_twin_app.models import load_models
from edge_twin_models.mismatch import DOSES, NEXT_CYCLE


@pytest.fixture(scope="module")
def cohorts() -> ModuleType:
    name = "assimilation_cohorts"
    specification = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # its dataclasses look their module up
    specification.loader.exec_module(module)
    return module


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("patients", "low", "high", "slack"),
    [
        pytest.param(60, 0.88, 1.0, 1.25, id="few"),  # three binomial standard deviations below 95 %
        pytest.param(1000, 0.93, 0.97, 1.10, id="all", marks=pytest.mark.slow),
    ],
)
def test_the_next_nadir_of_unknown_patients(  # noqa: PLR0913, PLR0917 - two fixtures and the bars
    model: ReducedModel, cohorts: ModuleType, patients: int, low: float, high: float, slack: float
) -> None:
    cohort = cohorts.matched(model, patients)
    importance, prior = cohorts.exact(model, cohort)
    scores = cohorts.score(model, cohort)
    print(f"\nprior {np.median(prior):.3f}, importance sampling {np.median(importance):.3f}")
    print(cohorts.describe("ES-MDA", scores))
    assert low <= scores.inside.mean() <= high
    assert np.median(scores.error) <= 0.5 * np.median(prior)
    assert np.median(scores.error) <= slack * np.median(importance)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("patients", "variance", "low"),
    [
        pytest.param(16, 1.0, 0.67, id="few"),  # three binomial standard deviations below 90 %
        pytest.param(400, 1.0, 0.90, id="all", marks=pytest.mark.slow),
        pytest.param(200, 1.5, 0.83, id="wider", marks=pytest.mark.slow),  # as for few; the prior is too narrow here
    ],
)
def test_the_next_nadir_of_patients_that_another_model_made(
    cohorts: ModuleType, patients: int, variance: float, low: float
) -> None:
    models = load_models(load_program("neutropenia"))
    found = cohorts.others(models, patients, variance=variance)
    print(*(f"\nvariance x{variance:g}, {line}" for line in cohorts.described(found)))
    scores = found.scores()
    assert scores.inside.mean() >= low
    assert scores.inside.mean() > found.scores(discrepancy=False).inside.mean()
    # An interval that covers by being useless would be as wide as the population's own without any count.
    prior = np.log(models[0].simulate(models[0].prior_sample(1000, 2), DOSES, NEXT_CYCLE).min(axis=0))
    low, high = np.quantile(prior, (0.025, 0.975))
    assert np.median(scores.width) < high - low
