"""All recordings of Welltory/hrv-covid19 (CC0) through the whole path of the features, where the data set is at hand.

The folder is named by ``EDGE_TWIN_WELLTORY`` or lies beside the checkout. Only figures about all of them are printed.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_twin import codes
from edge_twin.features import Feature, distil
from edge_twin.features.beats import window_statistics
from edge_twin.features.windows import WINDOW_HEART_RATE, WINDOW_PNN50, WINDOW_RESPIRATION, WINDOW_RMSSD
from edge_twin.observation import observe

BESIDE = Path(__file__).parents[2].parent / "shared" / "data" / "hrv-welltory"
TABLE = Path(os.environ.get("EDGE_TWIN_WELLTORY", BESIDE)) / "hrv_measurements.csv"
ZONE = ZoneInfo("UTC")
NOON = datetime(2020, 3, 2, 12, 0, tzinfo=UTC)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TABLE.exists(), reason="the Welltory data set is not at hand (EDGE_TWIN_WELLTORY)"),
]


@dataclass(frozen=True)
class Recording:
    """One row: intervals, what the data set says of them, and what the features say."""

    rr_ms: np.ndarray
    stated: dict[str, float]
    found: dict[str, Feature]

    @property
    def dropped(self) -> float:
        """Share of the beats that cleaning dropped, to a thousandth."""
        return round(1.0 - self.found[WINDOW_RMSSD].valid_share, 3)


def distilled(rr_ms: np.ndarray) -> dict[str, Feature]:
    times = np.cumsum(rr_ms)
    readings = [
        observe(codes.RR_INTERVAL, float(rr), NOON + timedelta(milliseconds=float(at)), source="strap")
        for rr, at in zip(rr_ms, times, strict=True)
    ]
    return {feature.name: feature for feature in distil(readings, ZONE)}


def read() -> Iterator[Recording]:
    with TABLE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rr_ms = np.array([float(text) for text in row["rr_data"].split(",")])
            stated = {name: float(row[name]) for name in ("rmssd", "sdnn", "meanrr", "pnn50")}
            yield Recording(rr_ms, stated, distilled(rr_ms))


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return list(read())


def test_unfiltered_figures_are_those_of_the_data_set(recordings: list[Recording]) -> None:
    """RMSSD and SDNN to 1e-4, mean to 0.001 ms, pNN50 (denominator n - 1) to 0.005 points; all 3,245 rows."""
    assert len(recordings) == 3245
    differences = []
    for one in recordings:
        raw = window_statistics(one.rr_ms, kept=np.ones(one.rr_ms.size, dtype=np.bool_))
        assert raw.rmssd_ms is not None
        assert raw.sdnn_ms is not None
        assert raw.heart_rate_per_min is not None
        assert raw.pnn50 is not None
        differences.append(
            (
                abs(raw.rmssd_ms / one.stated["rmssd"] - 1),
                abs(raw.sdnn_ms / one.stated["sdnn"] - 1),
                abs(60_000.0 / raw.heart_rate_per_min - one.stated["meanrr"]),
                abs(100.0 * raw.pnn50 - one.stated["pnn50"]),
            )
        )
    largest = np.array(differences).max(axis=0)
    print("largest difference: rmssd {:.1e}, sdnn {:.1e}, meanrr {:.1e} ms, pnn50 {:.4f} points".format(*largest))
    assert (largest <= [1e-4, 1e-4, 1e-3, 0.005]).all()


def test_recordings_without_artefacts_have_the_stated_figures_as_features(recordings: list[Recording]) -> None:
    clean = [one for one in recordings if one.dropped == 0.0 and not one.found[WINDOW_RMSSD].reason]
    print(f"{len(clean)} recordings without a dropped beat and of 60 s or longer")
    for one in clean:
        assert one.found[WINDOW_RMSSD].value == pytest.approx(one.stated["rmssd"], rel=1e-4)
        assert one.found[WINDOW_HEART_RATE].value == pytest.approx(60_000.0 / one.stated["meanrr"], rel=1e-5)
        assert one.found[WINDOW_PNN50].value == pytest.approx(one.stated["pnn50"] / 100.0, abs=6e-5)
    assert len(clean) > 1500


def test_where_the_cleaned_figures_differ_and_why(recordings: list[Recording]) -> None:
    """Every recording has a number or its reason; the more beats dropped, the lower RMSSD falls."""
    print("dropped | recordings | too short | rejected | median of ours / stated RMSSD (5th, 95th percentile)")
    medians = []
    for low, high in ((0.0, 0.0), (0.001, 0.01), (0.011, 0.02), (0.021, 0.05), (0.051, 0.20), (0.201, 1.0)):
        group = [one for one in recordings if low <= one.dropped <= high]
        reasons = [one.found[WINDOW_RMSSD].reason for one in group]
        ratios = [value / one.stated["rmssd"] for one in group if (value := one.found[WINDOW_RMSSD].value) is not None]
        shown = "{:.3f} ({:.3f}, {:.3f})".format(*np.quantile(ratios, [0.5, 0.05, 0.95])) if ratios else "-"
        short, rejected = reasons.count("window_too_short"), reasons.count("too_many_artefacts")
        print(f"{100 * low:.1f}-{100 * high:.0f} % | {len(group)} | {short} | {rejected} | {shown}")
        assert len(group) == short + rejected + len(ratios)
        assert (rejected > 0) == (low > 0.20)
        medians += [float(np.median(ratios))] if ratios else []
    assert medians == sorted(medians, reverse=True)
    assert medians[0] == pytest.approx(1.0, abs=1e-4)


def test_breathing_is_told_or_refused_for_each_recording(recordings: list[Recording]) -> None:
    """No truth is known here; what is found must be a rate that an adult can have."""
    found = [one.found[WINDOW_RESPIRATION] for one in recordings]
    rates = np.array([feature.value for feature in found if feature.value is not None])
    counted = {reason: sum(f.reason == reason for f in found) for reason in sorted({f.reason for f in found})}
    print(
        f"reasons {counted}; {rates.size} rates: median {np.median(rates):.1f}, {rates.min():.1f} to {rates.max():.1f}"
    )
    assert rates.size > 0
    assert rates.min() >= 9.0
    assert rates.max() <= 30.0
