"""``edge-twin bench rehearse``, small: its rows belong together. No time is held against anything."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from edge_twin_app.cli import main
from edge_twin_app.rehearsal_bench import LSODA, MECHANISTIC, METHODS, POD, bars

pytest.importorskip("scipy", reason="the reference")

KEYS = {"method", "engine", "milliseconds", "ratio_to_lsoda", "ratio_to_floor", "peak_rss_mb", "parameters", "shipped"}
ERRORS = {
    f"{name}_{kind}_{quantile}"
    for name in ("count", "nadir")
    for kind in ("error", "relative")
    for quantile in ("median", "p95", "p99", "max")
}
SMALL = ["bench", "rehearse", "--members", "40", "--repeats", "2", "--reference", "4", "--json"]


def document(capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main([*SMALL, *more]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


@pytest.fixture(name="told", scope="module")
def _told() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr("sys.stdout.write", written.append)
        assert main([*SMALL, "--without-memory"]) == 0
    found: dict[str, Any] = json.loads("".join(written))
    return found


def test_every_method_and_engine_has_a_row_with_every_figure(told: dict[str, Any]) -> None:
    names = [(row["method"], row["engine"]) for row in told["rows"]]
    assert names[0] == (LSODA, "scipy")
    absent = {tuple(name.split(":")) for name in told["engines_absent"]}
    assert set(names[1:]) | absent == set(METHODS)
    assert all(row.keys() == KEYS | ERRORS for row in told["rows"])


def test_exactly_one_row_is_shipped(told: dict[str, Any]) -> None:
    (shipped,) = (row for row in told["rows"] if row["shipped"])
    assert shipped["method"] == POD
    assert shipped["parameters"] <= 30_000


def test_ratios_belong_to_the_times_of_the_same_run(told: dict[str, Any]) -> None:
    lsoda = told["rows"][0]
    assert lsoda["ratio_to_lsoda"] == 1.0
    for row in told["rows"]:
        assert math.isclose(row["ratio_to_lsoda"] * row["milliseconds"], lsoda["milliseconds"], rel_tol=1e-9)
        floor = told["floor_ms"].get(row["method"])
        # The mechanistic methods multiply no matrices, so that this floor is not defined for them.
        assert (row["ratio_to_floor"] is None) == (row["method"] in {LSODA, MECHANISTIC})
        assert floor is None or math.isclose(row["ratio_to_floor"] * floor, row["milliseconds"], rel_tol=1e-9)


def test_errors_are_ordered_and_small(told: dict[str, Any]) -> None:
    for row in told["rows"]:
        for kind in ("count_error", "nadir_error", "count_relative", "nadir_relative"):
            quantiles = [row[f"{kind}_{name}"] for name in ("median", "p95", "p99", "max")]
            assert quantiles == sorted(quantiles)
        assert row["count_error_max"] <= row["count_relative_max"]
        assert row["nadir_error_p95"] <= (0.0 if row["method"] == LSODA else 0.03)


def test_engines_of_a_method_err_alike(told: dict[str, Any]) -> None:
    by_method: dict[str, list[float]] = {}
    for row in told["rows"]:
        by_method.setdefault(row["method"], []).append(row["nadir_error_max"])
    assert all(max(errors) - min(errors) < 1e-4 for errors in by_method.values())


def test_the_bars_are_those_of_the_rows(told: dict[str, Any]) -> None:
    assert told["bars"] == bars(told["rows"])
    assert {bar["bar"] for bar in told["bars"]} >= {
        "shipped ratio_to_lsoda",
        "shipped ratio_to_floor",
        "shipped parameters",
        "shipped milliseconds",
    }
    for bar in told["bars"]:
        assert bar["met"] == (
            bar["value"] >= bar["limit"] if bar["kind"] == "at_least" else bar["value"] <= bar["limit"]
        )


def test_a_missed_bar_is_told() -> None:
    row = {"method": POD, "engine": "numpy", "milliseconds": 2000.0, "ratio_to_lsoda": 4000.0, "ratio_to_floor": 4.0}
    row |= {"parameters": 40_000, "nadir_error_p95": 0.02, "shipped": True}
    assert [bar["met"] for bar in bars([row])] == [False] * 5


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_peak_memory_of_every_row_is_of_a_process_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    peaks = {(row["method"], row["engine"]): row["peak_rss_mb"] for row in document(capsys)["rows"]}
    assert all(10.0 < peak < 500.0 for peak in peaks.values())
    assert peaks[MECHANISTIC, "numpy"] < peaks[LSODA, "scipy"]
