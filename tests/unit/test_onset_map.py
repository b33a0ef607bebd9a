"""The map from score to probability: the fit finds what made the data, agrees with an oracle, refuses the rest."""

from __future__ import annotations

import numpy as np
import pytest

from edge_twin_app.errors import AppError
from edge_twin_app.evaluation.onset_map import fitted, main, scored_days


def made(number: int, intercept: float, slope: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    scores = random.standard_normal(number) * 2
    probability = 1 / (1 + np.exp(-intercept - slope * scores))
    return scores, (random.random(number) < probability).astype(np.float64)


def test_the_map_that_made_the_data_is_found() -> None:
    intercept, slope = fitted(*made(40_000, -2.0, 0.7))
    assert intercept == pytest.approx(-2.0, abs=0.06)
    assert slope == pytest.approx(0.7, abs=0.03)


def test_the_fit_agrees_with_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    scores, happened = made(500, -1.0, 0.5)
    oracle = linear.LogisticRegression(C=np.inf, tol=1e-10).fit(scores[:, None], happened)
    assert fitted(scores, happened) == pytest.approx((oracle.intercept_[0], oracle.coef_[0, 0]), abs=1e-5)


@pytest.mark.parametrize(
    ("scores", "happened"),
    [([0.0, 1.0, 2.0], [0.0, 0.0, 0.0]), ([0.0, 1.0, 2.0], [0.0, 0.0, 1.0]), ([1.0, 1.0, 1.0], [0.0, 1.0, 0.0])],
    ids=["all alike", "separated", "one score"],
)
def test_what_no_map_fits_is_refused(scores: list[float], happened: list[float]) -> None:
    with pytest.raises(AppError) as refused:
        fitted(np.array(scores), np.array(happened))
    assert refused.value.reason == "no_fit"


def test_only_days_that_the_calibration_asks_about_are_fitted() -> None:
    scores, happened = scored_days("ar", 3, ("resting_heart_rate", "steps"), 6)
    assert scores.shape == happened.shape
    assert np.all(np.isfinite(scores))
    assert 0 < happened.sum() <= 6 * 8  # at most the eight days of each onset's window


def test_the_command_prints_a_map(capsys: pytest.CaptureFixture[str]) -> None:
    main(["3", "--subjects", "8"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["heart rate and steps", "all streams", "both"]
    assert all("intercept" in line and "slope" in line for line in lines)
