"""The peers on a published series, to its printed digits, and against the libraries that they stand for."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_twin_app.evaluation.peers import PEERS, Peer
from edge_twin_app.evaluation.peers.cusum import CuSum
from edge_twin_app.evaluation.peers.nightsignal import NightSignal
from edge_twin_app.evaluation.peers.rhrad import consistency, robust_gaussian
from edge_twin_app.evaluation.peers.rolling import RollingZ, mean_and_sd, median_and_mad

Floats = NDArray[np.float64]
BY_NAME = {peer.name: peer for peer in PEERS}
T = np.arange(70)
RATE = (
    60
    + 2 * np.sin(2 * np.pi * T / 7)
    + 0.3 * ((37 * T) % 11 - 5)
    + 6.0 * ((T >= 50) & (T <= 54))
)  # fmt: skip
STEPS = 8000 + 1500 * np.cos(2 * np.pi * T / 7) + 100 * ((23 * T) % 13 - 6) - 4000.0 * ((T >= 52) & (T <= 58))

# signals.md, section 2: days 49 to 55, as printed there.
PRINTED = {
    "nightsignal": (0, 0, 2, 2, 2, 2, 0),
    "nightsignal_continuous": (-1.5, 1.248, 6.696, 8.25, 4.484, 4.484, -3.112),
    "z14": (0.769, 4.155, 3.25, 2.356, 0.85, 0.766, -1.456),
    "robust_z": (0.635, 3.5, 3.353, 3.493, 1.882, 1.822, -1.265),
    "rhrad_daily": (-1.373, 12.598, 18.062, 17.927, 2.595, 0.251, 0),
    "ewma": (-0.021, 1.739, 2.546, 3.019, 2.451, 2.137, 0.436),
    "ewma_steps": (-0.416, 1.368, 2.496, 4.494, 4.537, 4.321, 2.271),
    "half_space_trees": (0.594, 0.919, 0.901, 0.972, 0.942, 0.941, 0.884),
    "conformal_ecusum": (2.447, 3.487, 4.125, 4.761, 5.238, 5.627, 5.285),
}
FLAGGED = {
    "z14": {16, 30, 50, 51, 52},
    "rhrad_daily": {43, 50, 51, 52, 53, 54},
    "cusum": {30, *range(50, 70)},
    "nightsignal": {51, 52, 53, 54},
}


def series(peer: Peer, days: NDArray[np.int64] = T, rate: Floats = RATE, steps: Floats = STEPS) -> Floats:
    state = peer.start()
    rows = zip(days.tolist(), rate.tolist(), np.log1p(steps).tolist(), strict=True)
    return np.array([state.update(*row) for row in rows])


def test_every_peer_is_on_the_series() -> None:
    assert {peer.name for peer in PEERS} == set(PRINTED) | {"cusum"}
    assert {peer.name for peer in PEERS if peer.alert_above is not None} == set(FLAGGED)
    assert all(peer.source and peer.streams for peer in PEERS)


@pytest.mark.parametrize("name", PRINTED)
def test_peer_gives_the_printed_scores(name: str) -> None:
    assert series(BY_NAME[name])[49:56] == pytest.approx(PRINTED[name], abs=5.001e-4)


@pytest.mark.parametrize("name", FLAGGED)
def test_peer_flags_the_printed_days_by_its_own_rule(name: str) -> None:
    above = BY_NAME[name].alert_above
    assert above is not None
    assert set(np.flatnonzero(series(BY_NAME[name]) > above).tolist()) == FLAGGED[name]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: str(peer.name))
def test_score_of_a_day_needs_no_later_day(peer: Peer) -> None:
    rng = np.random.default_rng(4)
    kept = np.sort(rng.choice(90, 70, replace=False))
    rate = np.where(rng.random(70) < 0.1, np.nan, RATE + rng.normal(0, 2, 70))
    whole = series(peer, kept, rate)
    for cut in (1, 15, 33, 52, 69):
        part = series(peer, kept[:cut], rate[:cut], STEPS[:cut])
        assert np.array_equal(part, whole[:cut], equal_nan=True)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: str(peer.name))
@pytest.mark.parametrize("rate", [np.full(70, 60.0), np.full(70, np.nan), np.where(T % 2, np.nan, 61.0)])
def test_flat_and_missing_series_raise_nothing(peer: Peer, rate: Floats) -> None:
    scores = series(peer, T, rate, np.full(70, np.nan))
    assert not np.isposinf(scores).any()
    if peer.alert_above is not None:
        assert not (scores > peer.alert_above).any()


# --- RHRAD against scikit-learn ---------------------------------------------------------------------


def test_consistency_factor_is_the_printed_one() -> None:
    assert consistency(21 / 31) == pytest.approx(3.50024, abs=5e-6)
    assert consistency(0.975) == pytest.approx(1.17478, abs=5e-6)


def reference_scores(rate: Floats) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn speaks of determinants and deprecations of its own
        covariance = pytest.importorskip("sklearn.covariance")
        found = np.zeros(rate.size)
        for t in range(31, rate.size):
            window = rate[t - 31 : t]
            mean, sd = window.mean(), window.std()
            model = covariance.EllipticEnvelope(contamination=0.1, support_fraction=0.7, random_state=0)
            model.fit(((window - mean) / sd)[:, None])
            z = (rate[t] - mean) / sd
            found[t] = -model.decision_function([[z]])[0] if z > 0 else 0.0
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_rhrad_is_the_elliptic_envelope(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rate = 60 + 3 * rng.standard_normal(60) + 8.0 * (rng.random(60) < 0.1)
    ours = series(BY_NAME["rhrad_daily"], np.arange(60), rate, np.full(60, 8000.0))
    assert ours[31:] == pytest.approx(reference_scores(rate)[31:], rel=1e-10, abs=1e-10)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(40, 120), min_size=15, max_size=31))
def test_robust_gaussian_lies_within_its_data(values: list[float]) -> None:
    location, variance = robust_gaussian(np.array(values))
    assert min(values) - 1e-9 <= location <= max(values) + 1e-9
    assert variance >= 0.0


# --- parts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "oracle"),
    [
        (mean_and_sd, lambda v: (v.mean(), v.std(ddof=1))),
        (median_and_mad, lambda v: (np.median(v), 1.4826 * np.median(np.abs(v - np.median(v))))),
    ],
)
def test_scales_are_those_of_numpy(
    scale: Callable[[list[float]], tuple[float, float]], oracle: Callable[[Floats], tuple[float, float]]
) -> None:
    values = np.random.default_rng(3).normal(60, 3, 27)
    assert scale(values.tolist()) == pytest.approx(oracle(values))


def test_z_waits_for_ten_values_and_for_today() -> None:
    z = RollingZ(14, 0, 0.5, mean_and_sd)
    assert [z.update(60.0 + t % 2) for t in range(10)] == [0.0] * 10
    assert z.update(math.nan) == 0.0
    assert z.update(70.0) > 10.0


def test_z_leaves_out_the_lag() -> None:
    z = RollingZ(28, 3, 1.0, median_and_mad)
    for _ in range(13):
        z.update(60.0)
    assert [z.update(60.0 + rise) for rise in (1.0, 2.0, 3.0, 4.0)] == [1.0, 2.0, 3.0, 4.0]


def nights(values: dict[int, float]) -> dict[int, float]:
    state = NightSignal()
    return {day: state.update(day, rate, math.nan) for day, rate in sorted(values.items())}


def test_nightsignal_thresholds_are_three_and_four() -> None:
    usual = dict.fromkeys(range(20), 60.0)
    for excess, colour in ((2.9, 0.0), (3.0, 1.0), (3.9, 1.0), (4.0, 2.0)):
        assert nights(usual | {20: 60.0 + excess, 21: 60.0 + excess})[21] == colour
    assert nights(usual | {20: 65.0, 21: 60.0, 22: 65.0})[22] == 0.0


def test_nightsignal_imputes_one_missing_night_and_no_more() -> None:
    usual = dict.fromkeys(range(19), 60.0)
    # Day 20 is missing: its neighbours are 66 and 66, and day 18 adjoins day 19.
    assert nights(usual | {19: 66.0, 21: 66.0})[21] == 2.0
    assert nights(usual | {19: 66.0, 22: 66.0})[22] == 0.0


def test_nightsignal_imputation_may_need_one_night_more() -> None:
    # 18 and 20 are missing. 20 adjoins 19 and 21, of which 19 has no recorded neighbour: only day 22 tells.
    found = nights(dict.fromkeys(range(18), 60.0) | {19: 60.0, 21: 70.0, 22: 60.0})
    assert found == found | {21: 0.0, 22: 0.0}
    state = NightSignal()
    for day in [*range(18), 20, 22]:
        state.update(day, 60.0, math.nan)
    assert 21 not in state._values
    state.update(23, 60.0, math.nan)
    assert state._values[21] == 60


def test_cusum_does_not_take_in_the_days_that_it_flags() -> None:
    rate = np.concatenate((60 + np.tile([0.0, 1.0, -1.0, 0.5], 10), np.full(30, 70.0)))
    scores = series(BY_NAME["cusum"], np.arange(70), rate)
    assert (scores[42:] > 0).all()  # had it learnt the new level, the sum would fall back
    assert isinstance(BY_NAME["cusum"].start(), CuSum)
