"""Page's test and the e-detector: recursions and what they promise, counted."""

from __future__ import annotations

import math
from bisect import insort

import numpy as np
import pytest

from edge_twin.detection.sequential import EDetector, Page, conformal_p
from edge_twin.errors import DetectionError


def test_page_accumulates_and_forgets() -> None:
    page = Page(allowance=0.5)
    assert [page.update(z) for z in (1.0, 2.0, -3.0, 0.7)] == pytest.approx([0.5, 2.0, 0.0, 0.2])


def test_page_waits_about_as_long_as_the_approximation_says() -> None:
    """Siegmund's approximation for allowance 0.5, threshold 3: about 118 days; within 15 % on 400 walks."""
    rng, waits = np.random.default_rng(3), []
    for _ in range(400):
        page, days = Page(0.5), 1
        while page.update(rng.standard_normal()) < 3.0:
            days += 1
        waits.append(days)
    expected = Page(0.5).mean_time_to_false_alarm(3.0)
    assert expected == pytest.approx(117.6, abs=1.0)
    assert np.mean(waits) == pytest.approx(expected, rel=0.15)


def test_e_detector_keeps_its_guarantee_on_exchangeable_days() -> None:
    """Alarm at M >= 28: mean time to a false alarm at least 28 days, here on heavy-tailed days."""
    rng, waits = np.random.default_rng(4), []
    for _ in range(60):
        test, days = EDetector(), 0
        past: list[float] = []
        while days < 400:
            days += 1
            value = rng.standard_t(2)
            level = test.update(conformal_p(past, value, rng.random()))
            insort(past, value)
            if level >= math.log(28.0):
                break
        waits.append(days)
    assert np.mean(waits) >= 28.0


def test_e_detector_finds_a_shift() -> None:
    test = EDetector()
    assert [test.update(0.01) for _ in range(4)][-1] > math.log(28.0)


def test_conformal_p_counts_ranks_and_splits_ties() -> None:
    assert conformal_p([1.0, 2.0, 2.0, 3.0], 2.0, 0.5) == pytest.approx((1 + 0.5 * 3) / 5)
    assert conformal_p([], 1.0, 0.25) == 0.25


@pytest.mark.parametrize("p_value", [0.0, -0.1, 1.1, math.nan])
def test_no_p_value_is_refused(p_value: float) -> None:
    with pytest.raises(DetectionError) as refused:
        EDetector().update(p_value)
    assert refused.value.reason == "bad_p_value"


def test_page_without_an_allowance_has_no_mean_time() -> None:
    with pytest.raises(DetectionError):
        Page(0.0).mean_time_to_false_alarm(3.0)
