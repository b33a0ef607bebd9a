"""Heart-rate variability against recordings with stated figures, neurokit2, and a strap on the way."""

from __future__ import annotations

import csv
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_twin import codes
from edge_twin.features import WINDOW_HEART_RATE, WINDOW_RMSSD, Feature, distil
from edge_twin.features.beats import keep_mask, window_statistics
from edge_twin.features.windows import WINDOW_PNN50
from edge_twin.observation import Observation, observe
from edge_twin_adapters.ble import decode
from edge_twin_adapters.ble.frame import DecodeContext
from edge_twin_adapters.ble.heart_rate import encode_heart_rate

ZONE = ZoneInfo("UTC")
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MOST_IN_A_PACKET = 9


def recordings() -> dict[str, dict[str, str]]:
    with (Path(__file__).parents[1] / "data" / "welltory_rr.csv").open(newline="", encoding="utf-8") as file:
        return {row["rr_code"]: row for row in csv.DictReader(file)}


RECORDINGS = recordings()


def intervals(rr_code: str) -> np.ndarray:
    return np.array([float(text) for text in RECORDINGS[rr_code]["rr_data"].split(",")])


def features(readings: list[Observation]) -> dict[str, Feature]:
    return {feature.name: feature for feature in distil(readings, ZONE)}


def beats(rr_ms: np.ndarray) -> list[Observation]:
    times = np.cumsum(rr_ms)
    return [
        observe(codes.RR_INTERVAL, float(rr), NOON + timedelta(milliseconds=float(at)), source="strap")
        for rr, at in zip(rr_ms, times, strict=True)
    ]


# --- the recordings' own figures -------------------------------------------------------------------


@pytest.mark.parametrize("rr_code", RECORDINGS)
def test_unfiltered_figures_are_those_of_the_release(rr_code: str) -> None:
    """Without cleaning: RMSSD and SDNN (ddof 1) to 1e-4, mean to 0.001 ms."""
    rr_ms, stated = intervals(rr_code), RECORDINGS[rr_code]
    everything = window_statistics(rr_ms, kept=np.ones(rr_ms.size, dtype=np.bool_))
    assert everything.rmssd_ms == pytest.approx(float(stated["rmssd"]), rel=1e-4)
    assert everything.sdnn_ms == pytest.approx(float(stated["sdnn"]), rel=1e-4)
    assert everything.heart_rate_per_min == pytest.approx(60_000.0 / float(stated["meanrr"]), abs=1e-4)
    assert everything.pairs == rr_ms.size - 1


@pytest.mark.parametrize(
    ("rr_code", "flagged", "filtered"),
    [
        ("9610d4d4dc", 0, 33.022),
        ("10489a6aea", 2, 35.433),
        ("d4449520e7", 5, 43.794),
        ("54ba8e08b6", 41, None),
        ("79350ea079", 0, 53.976),
    ],
)
def test_artefacts_of_a_recording_lower_its_rmssd_or_reject_it(
    rr_code: str, flagged: int, filtered: float | None
) -> None:
    rr_ms = intervals(rr_code)
    window = features(beats(rr_ms))[WINDOW_RMSSD]
    assert rr_ms.size - window.count == flagged
    assert window.valid_share == pytest.approx(1.0 - flagged / rr_ms.size)
    assert window.reason == ("too_many_artefacts" if filtered is None else "")
    assert window.value == (None if filtered is None else pytest.approx(filtered, abs=5e-4))


def test_a_strap_moves_the_figures_by_its_rounding_alone() -> None:
    """In 1/1024 s, nine beats a packet: RMSSD 32.961 instead of 33.022."""
    units = [round(rr * 1.024) for rr in intervals("9610d4d4dc")]
    assert units[:5] == [909, 794, 830, 904, 911]
    readings: list[Observation] = []
    at = NOON
    for first in range(0, len(units), MOST_IN_A_PACKET):
        packet = units[first : first + MOST_IN_A_PACKET]
        at += timedelta(seconds=sum(packet) / 1024)
        payload = encode_heart_rate(70, packet, contact=True)
        readings += [
            o for o in decode("2a37", payload, at, context=DecodeContext("strap")) if isinstance(o, Observation)
        ]
    window = features(readings)[WINDOW_RMSSD]
    assert window.value == pytest.approx(32.961, abs=5e-4)
    assert window.count == 100


# --- neurokit2 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rr_code", ["9610d4d4dc", "79350ea079"])
def test_neurokit2_says_the_same_of_clean_beats(rr_code: str) -> None:
    """``hrv_time``: RMSSD and SDNN to 1e-9; pNN50 with its denominator, intervals instead of pairs."""
    rr_ms = intervals(rr_code)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        neurokit = pytest.importorskip("neurokit2")
        theirs = neurokit.hrv_time({"RRI": rr_ms, "RRI_Time": np.cumsum(rr_ms) / 1000.0}).iloc[0]
    ours = window_statistics(rr_ms)
    assert ours.kept == rr_ms.size
    assert ours.rmssd_ms == pytest.approx(float(theirs["HRV_RMSSD"]), rel=1e-9)
    assert ours.sdnn_ms == pytest.approx(float(theirs["HRV_SDNN"]), rel=1e-9)
    assert ours.heart_rate_per_min == pytest.approx(60_000.0 / float(theirs["HRV_MeanNN"]), rel=1e-9)
    assert ours.pnn50 is not None
    assert ours.pnn50 * ours.pairs / rr_ms.size == pytest.approx(float(theirs["HRV_pNN50"]) / 100.0, rel=1e-9)


def test_neurokit2_says_the_same_of_beats_that_cleaning_kept() -> None:
    """On the kept intervals of a recording with artefacts, given with their times so that holes are seen."""
    rr_ms = intervals("d4449520e7")
    kept = keep_mask(rr_ms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        neurokit = pytest.importorskip("neurokit2")
        times = np.cumsum(rr_ms)[kept] / 1000.0
        theirs = neurokit.hrv_time({"RRI": rr_ms[kept], "RRI_Time": times}).iloc[0]
    ours = window_statistics(rr_ms)
    assert ours.sdnn_ms == pytest.approx(float(theirs["HRV_SDNN"]), rel=1e-9)
    assert ours.rmssd_ms == pytest.approx(float(theirs["HRV_RMSSD"]), rel=1e-9)


# --- definitions by hand ---------------------------------------------------------------------------


def test_pnn50_counts_differences_above_50_ms_among_kept_neighbours() -> None:
    """800 850 900.5 900.5 850 and an artefact: differences 50, 50.5, 0, 50.5; the artefact takes two pairs away."""
    rr_ms = np.array([800.0, 850.0, 900.5, 900.5, 850.0, 1500.0, 850.0, 860.0])
    found = window_statistics(rr_ms)
    assert (found.kept, found.pairs) == (7, 5)
    assert found.pnn50 == 2 / 5
    assert found.artefact_share == pytest.approx(1 / 8)


def test_rate_and_pnn50_of_a_recording_reach_the_features() -> None:
    rr_ms = intervals("9610d4d4dc")
    found = features(beats(rr_ms))
    assert found[WINDOW_HEART_RATE].value == pytest.approx(60_000.0 / 858.0)
    assert found[WINDOW_PNN50].value == pytest.approx(float(np.mean(np.abs(np.diff(rr_ms)) > 50.0)))
    assert found[WINDOW_PNN50].unit == "1"
