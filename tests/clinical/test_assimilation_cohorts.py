"""Patients unknown to the twin: coverage and error of the next cycle's nadir against importance sampling."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edge_twin.reduced_model import ReducedModel


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
