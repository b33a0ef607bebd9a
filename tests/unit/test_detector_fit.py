"""The fit of threshold and probability map: it finds what made the data and keeps the budget."""

from __future__ import annotations

import numpy as np
import pytest

from edge_twin_app.evaluation.detector_fit import bounded_map, main, probability, threshold_at
from edge_twin_app.evaluation.onset_calibration import TWO_STREAMS, cohort_rows
from edge_twin_app.evaluation.ours import run_ours


def test_the_map_that_made_the_outcomes_is_found() -> None:
    rng, made = np.random.default_rng(1), np.array([-1.0, 1.5, 0.08, 0.4])
    scores = 2.0 * rng.standard_normal(40_000)
    happened = (rng.random(scores.size) < probability(made, scores)).astype(np.float64)
    found = bounded_map(scores, happened)
    assert np.abs(probability(found, scores) - probability(made, scores)).max() < 0.03


def test_a_tighter_budget_needs_a_higher_threshold() -> None:
    rows = cohort_rows("ar", 20, 1)
    scores = run_ours("detector", TWO_STREAMS, rows, lambda: None).scores
    assert threshold_at(rows, scores, 0.1) > threshold_at(rows, scores, 0.3)


def test_the_command_prints_all_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    main(["1", "--subjects", "12"])
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("ar: threshold", "state: threshold", "intercept", "slope", "highest"))
