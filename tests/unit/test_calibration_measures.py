"""Calibration measures against numbers made by hand, against the definition, and on large calibrated samples."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin_app.errors import AppError
from edge_twin_app.evaluation.calibration import (
    BINS,
    MEASURES,
    Pairs,
    Ranks,
    below_levels,
    coverage,
    reliability_table,
    summary,
)
from edge_twin_app.evaluation.calibration_picture import reliability_figure, save_reliability


def made(probability: list[float], happened: list[float], subject: list[str] | None = None) -> Pairs:
    names = [str(n) for n in range(len(probability))] if subject is None else subject
    return Pairs("p", np.array(probability), np.array(happened), np.array(names))


def calibrated(number: int, seed: int) -> Pairs:
    random = np.random.default_rng(seed)
    probability = random.beta(1, 4, number)
    happened = (random.random(number) < probability).astype(np.float64)
    return Pairs("p", probability, happened, np.arange(number).astype(str))


def test_two_values_by_hand() -> None:
    """Ten pairs at 0.2 with 3 events, ten at 0.8 with 6: gaps of 0.1 and 0.2 in two bins."""
    pairs = made([0.2] * 10 + [0.8] * 10, [1.0] * 3 + [0.0] * 7 + [1.0] * 6 + [0.0] * 4)
    found = pairs.bins().measures()
    assert pairs.bins().pairs.tolist() == [10, 10]
    assert found["ece"] == pytest.approx(0.15)
    assert found["brier"] == pytest.approx((3 * 0.64 + 7 * 0.04 + 6 * 0.04 + 4 * 0.64) / 20)
    assert found["reliability"] == pytest.approx((0.01 + 0.04) / 2)
    assert found["resolution"] == pytest.approx((0.15**2 + 0.15**2) / 2)
    assert found["uncertainty"] == pytest.approx(0.45 * 0.55)
    assert found["within_bins"] == pytest.approx(0.0, abs=1e-15)


def test_thirty_distinct_values_fall_in_fifteen_bins_of_two() -> None:
    probability = (np.arange(30) + 0.5) / 30
    pairs = made(probability.tolist(), [0.0, 1.0] * 15)
    bins = pairs.bins()
    assert bins.pairs.tolist() == [2.0] * BINS
    np.testing.assert_allclose(bins.mean_said, probability.reshape(15, 2).mean(axis=1))
    np.testing.assert_allclose(bins.share, 0.5)
    assert pairs.bins().measures()["ece"] == pytest.approx(np.mean(np.abs(bins.mean_said - 0.5)))


def test_one_value_said_for_everybody_is_one_bin() -> None:
    found = made([0.3] * 40, [1.0] * 10 + [0.0] * 30).bins()
    assert found.pairs.tolist() == [40.0]
    assert found.measures()["ece"] == pytest.approx(0.05)
    assert found.measures()["resolution"] == 0.0


pair_lists = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0]), st.sampled_from("abcde")), min_size=1, max_size=60
)


@given(pair_lists)
def test_the_parts_add_up_to_the_brier_score(rows: list[tuple[float, float, str]]) -> None:
    probability, happened, subject = (list(column) for column in zip(*rows, strict=True))
    found = made(probability, happened, subject).bins().measures()
    assert found["brier"] == pytest.approx(np.mean((np.array(probability) - np.array(happened)) ** 2), abs=1e-12)
    parts = found["reliability"] - found["resolution"] + found["uncertainty"] + found["within_bins"]
    assert parts == pytest.approx(found["brier"], abs=1e-12)
    assert 0 <= found["ece"] <= 1
    assert found["reliability"] <= found["ece"] + 1e-12


@given(pair_lists, st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_does_not_matter(rows: list[tuple[float, float, str]], random: Random) -> None:
    shuffled = sorted(rows, key=lambda _: random.random())
    first, second = (
        made(*(list(column) for column in zip(*some, strict=True))).bins().measures() for some in (rows, shuffled)
    )
    assert first == pytest.approx(second, abs=1e-12)


@given(pair_lists)
def test_a_weight_of_two_is_the_pair_twice(rows: list[tuple[float, float, str]]) -> None:
    probability, happened, subject = (list(column) for column in zip(*rows, strict=True))
    weighted = made(probability, happened, subject).bins(np.full(len(rows), 2.0)).measures()
    twice = made(probability * 2, happened * 2, subject * 2).bins().measures()
    assert weighted == pytest.approx(twice, abs=1e-12)


def test_a_large_calibrated_sample_has_a_small_error_and_says_so() -> None:
    row = summary(calibrated(20_000, 1), resamples=100)
    assert row["ece"] < 0.012  # type: ignore[operator]
    assert row["ece"] <= row["ece_chance"] * 1.2  # type: ignore[operator]
    assert row["reliability"] < 5e-4  # type: ignore[operator]
    assert all(row[f"{name}_low"] <= row[f"{name}_high"] for name in MEASURES)  # type: ignore[operator]


def test_doubled_odds_are_found_out() -> None:
    fair = calibrated(5_000, 2)
    odds = 2 * fair.probability / (1 - fair.probability)
    bold = Pairs("bold", odds / (1 + odds), fair.happened, fair.subject)
    row = summary(bold, resamples=100)
    assert row["ece_low"] > row["ece_chance_dependent"]  # type: ignore[operator]
    expected = np.mean(bold.probability - fair.probability)
    assert row["ece"] == pytest.approx(expected, abs=0.02)


def test_days_of_one_subject_are_drawn_together() -> None:
    """Ten subjects of a hundred equal days are ten observations, not a thousand."""
    subject = np.repeat(np.arange(10), 100).astype(str)
    happened = np.repeat([1.0, 0.0] * 5, 100)
    clustered = Pairs("p", np.full(1000, 0.5), happened, subject)
    alone = Pairs("p", np.full(1000, 0.5), happened, np.arange(1000).astype(str))
    width = [
        row["share_high"] - row["share_low"] for pairs in (clustered, alone) for row in reliability_table(pairs, 1, 400)
    ]
    assert width[0] == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 10), abs=0.12)
    assert width[1] == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 1000), abs=0.012)


def test_chance_is_larger_when_pairs_of_a_subject_depend_on_each_other() -> None:
    random = np.random.default_rng(8)
    probability = random.beta(1, 4, 1000)
    subject = np.repeat(np.arange(20), 50).astype(str)
    happened = (random.random(1000) < probability).astype(np.float64)
    row = summary(Pairs("p", probability, happened, subject), resamples=100)
    assert row["ece_chance_dependent"] > 2 * row["ece_chance"]  # type: ignore[operator]


def test_the_same_seed_gives_the_same_row() -> None:
    pairs = calibrated(300, 3)
    assert summary(pairs, 4, 50) == summary(pairs, 4, 50)
    assert summary(pairs, 4, 50)["ece_low"] != summary(pairs, 5, 50)["ece_low"]


def test_the_table_shows_the_bins() -> None:
    pairs = calibrated(400, 6)
    bins, table = pairs.bins(), reliability_table(pairs, resamples=50)
    assert [row["pairs"] for row in table] == bins.pairs.tolist()
    np.testing.assert_allclose([row["share_happened"] for row in table], bins.share)
    counted = [pairs.happened[pairs.places() == n].mean() for n in range(len(table))]
    np.testing.assert_allclose(counted, bins.share)
    assert all(row["share_low"] <= row["share_happened"] <= row["share_high"] for row in table)


@pytest.mark.parametrize(
    ("probability", "happened"),
    [([], []), ([0.5], [0.0, 1.0]), ([1.1], [1.0]), ([-0.1], [0.0]), ([np.nan], [0.0]), ([0.5], [0.5])],
)
def test_what_is_no_pair_is_refused(probability: list[float], happened: list[float]) -> None:
    with pytest.raises(AppError) as refused:
        made(probability, happened)
    assert refused.value.reason == "bad_pairs"


def test_coverage_by_hand() -> None:
    ranks = Ranks("f", np.array([0.01, 0.06, 0.3, 0.5, 0.74, 0.76, 0.9, 0.98]), np.array(list("abcdefgh")))
    row = coverage(ranks, resamples=50)
    assert (row["coverage_50"], row["coverage_80"], row["coverage_95"]) == (3 / 8, 5 / 8, 6 / 8)


def test_uniform_ranks_are_covered_as_promised() -> None:
    random = np.random.default_rng(5)
    row = coverage(Ranks("f", random.random(20_000), np.arange(20_000).astype(str)), resamples=50)
    for level in (50, 80, 95):
        assert row[f"coverage_{level}"] == pytest.approx(level / 100, abs=0.01)
        assert row[f"coverage_{level}_low"] <= row[f"coverage_{level}"] <= row[f"coverage_{level}_high"]  # type: ignore[operator]


@pytest.mark.parametrize("rank", [[], [1.2], [np.nan]])
def test_what_is_no_rank_is_refused(rank: list[float]) -> None:
    with pytest.raises(AppError, match="between 0 and 1"):
        coverage(Ranks("f", np.array(rank), np.array(["a"] * len(rank))))


def test_p_values_are_counted_at_each_level() -> None:
    row = below_levels("p_mismatch", np.array([0.001, 0.01, 0.2, 0.9]), (0.01, 0.05, 0.5))
    assert row == {
        "p_value": "p_mismatch", "values": 4, "share_at_most_0_01": 0.5, "share_at_most_0_05": 0.5,
        "share_at_most_0_5": 0.75,
    }  # fmt: skip


def test_the_picture_has_a_panel_and_its_counts_for_each_probability(tmp_path: Path) -> None:
    sets = [calibrated(200, n) for n in range(4)]
    figure = reliability_figure(sets)
    drawn = [axes for axes in figure.axes if axes.axison]
    assert len(drawn) == 8
    assert {axes.get_xlabel() for axes in drawn} == {"", "probability said"}
    assert save_reliability(sets[:1], tmp_path / "new" / "r.png").stat().st_size > 5000
    with pytest.raises(AppError, match="no probability"):
        save_reliability([], tmp_path / "r.png")
    with pytest.raises(AppError, match="cannot be drawn"):
        save_reliability(sets[:1], tmp_path / "r.unknown")
