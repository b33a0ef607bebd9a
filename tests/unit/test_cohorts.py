"""Simulated cohorts: the same seed, the same bytes; realistic noise, rhythm, gaps and effect at onset."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_twin_models.cohorts import GENERATORS, STREAMS, CohortTable, simulate, write_csv
from edge_twin_models.cohorts.parameters import MARKS, load, parse
from edge_twin_models.cohorts.table import SubjectDays

SUBJECTS = 260
SEED = 7  # of this file; no figure is made with it
Floats = NDArray[np.float64]


@cache
def cohort(generator: str) -> CohortTable:
    return simulate(generator, SUBJECTS, SEED)


@cache
def people(generator: str) -> tuple[SubjectDays, ...]:
    table = cohort(generator)
    return tuple(table.of(person.name) for person in table.people)


def valid(rows: SubjectDays) -> NDArray[np.bool_]:
    return np.isfinite(rows.streams["resting_heart_rate"])


def is_eligible(rows: SubjectDays) -> bool:
    """The protocol's rule: 28 valid days before day -14 and 6 in [-7, 3]."""
    worn = valid(rows)
    window = (rows.day >= -7) & (rows.day <= 3)
    return bool(worn[rows.day < -14].sum() >= 28 and worn[window].sum() >= 6)


def full(rows: SubjectDays, values: Floats) -> Floats:
    """Values on every day simulated, NaN where there is no row."""
    first, last = rows.subject.days
    series = np.full(last - first + 1, np.nan)
    series[rows.day - first] = values
    return series


def quiet(rows: SubjectDays, values: Floats) -> Floats:
    """The days before day -14."""
    return full(rows, values)[: max(-14 - rows.subject.days[0], 0)]


def robust_z(series: Floats, at: int, floor: float) -> float:
    """Against median and MAD of the 28 days that end 3 days earlier."""
    before = series[max(0, at - 31) : max(0, at - 3)]
    before = before[np.isfinite(before)]
    if before.size < 10:
        return np.nan
    middle = np.median(before)
    return float((series[at] - middle) / max(1.4826 * np.median(np.abs(before - middle)), floor))


def median_z(generator: str, stream: str, day: int, *, responds: bool | None = None) -> float:
    found = []
    for rows in people(generator):
        if is_eligible(rows) and (responds is None or rows.subject.responds is responds):
            values = rows.streams[stream]
            series = full(rows, np.log1p(values) if stream == "steps" else values)
            found.append(robust_z(series, day - rows.subject.days[0], 0.15 if stream == "steps" else 1.0))
    return float(np.nanmedian(found))


def lag(series: Floats, days: int) -> float:
    """Autocorrelation."""
    from_mean = series - np.nanmean(series)
    return float(np.nanmean(from_mean[days:] * from_mean[:-days]) / np.nanvar(series))


def quiet_series(generator: str, stream: str) -> Iterator[Floats]:
    for rows in people(generator):
        if is_eligible(rows):
            values = rows.streams[stream]
            yield quiet(rows, np.log1p(values) if stream == "steps" else values)


@pytest.mark.parametrize("generator", GENERATORS)
def test_the_same_seed_gives_the_same_bytes(generator: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.csv" for number in range(3)]
    for path, seed in zip(paths, (3, 3, 4), strict=True):
        write_csv(simulate(generator, 6, seed), path)
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again
    assert first != other


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_larger_cohort_begins_with_the_smaller_one(generator: str, tmp_path: Path) -> None:
    write_csv(simulate(generator, 3, 5), tmp_path / "small.csv")
    write_csv(simulate(generator, 5, 5), tmp_path / "large.csv")
    assert (tmp_path / "large.csv").read_bytes().startswith((tmp_path / "small.csv").read_bytes())


@pytest.mark.parametrize("generator", GENERATORS)
def test_the_table_has_the_form_of_the_evaluation(generator: str, tmp_path: Path) -> None:
    table = simulate(generator, 8, 2)
    write_csv(table, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["subject", "day", "source", *STREAMS]
    assert len(rows) == len(table)
    keys = [(row["subject"], int(row["day"])) for row in rows]
    assert keys == sorted(set(keys)), "one row per subject and day, in order"
    assert all(any(row[stream] for stream in STREAMS) for row in rows), "a day without any value is no row"
    written = [float(row["resting_heart_rate"] or "nan") for row in rows]
    np.testing.assert_allclose(written, table.streams["resting_heart_rate"], atol=0.051, equal_nan=True)


@pytest.mark.parametrize("generator", GENERATORS)
def test_at_least_200_of_260_subjects_are_eligible_and_some_are_not(generator: str) -> None:
    eligible = sum(is_eligible(rows) for rows in people(generator))
    assert 200 <= eligible < SUBJECTS


@pytest.mark.parametrize("generator", GENERATORS)
def test_subjects_are_followed_for_30_to_150_days(generator: str) -> None:
    lengths = np.array([rows.subject.days[1] - rows.subject.days[0] + 1 for rows in people(generator)])
    assert lengths.min() >= 30
    assert lengths.max() <= 152
    assert np.mean(lengths >= 60) > 0.9


@pytest.mark.parametrize("generator", GENERATORS)
def test_values_are_possible(generator: str) -> None:
    bounds = {
        "resting_heart_rate": (30, 140), "steps": (0, 120_000), "temperature": (34, 41), "spo2": (0.8, 1),
        "rmssd": (1, 400), "respiration_rate": (6, 45), "sleep_hours": (2, 14), "weight": (35, 150),
        "symptom_score": (0, 10), "cycle_day": (0, 27),
    }  # fmt: skip
    assert bounds.keys() == STREAMS.keys()
    for stream, (low, high) in bounds.items():
        values = cohort(generator).streams[stream]
        assert low <= np.nanmin(values) <= np.nanmax(values) <= high, stream


@pytest.mark.parametrize("generator", GENERATORS)
def test_people_differ_as_in_quer_2020(generator: str) -> None:
    """Quer 2020 PLoS ONE: mean 65.5, sd 7.7 over people."""
    levels = [np.nanmedian(series) for series in quiet_series(generator, "resting_heart_rate")]
    assert 62 < np.mean(levels) < 70
    assert 6 < np.std(levels) < 9.5


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_persons_heart_rate_is_steady_and_autocorrelated(generator: str) -> None:
    series = list(quiet_series(generator, "resting_heart_rate"))
    assert 1.5 < np.median([np.nanstd(s) for s in series]) < 3.5
    assert 0.3 < np.mean([lag(s, 1) for s in series]) < 0.75


@pytest.mark.parametrize("generator", GENERATORS)
def test_the_week_shows_in_steps(generator: str) -> None:
    series = list(quiet_series(generator, "steps"))
    seventh = np.mean([lag(s, 7) for s in series])
    others = np.mean([[lag(s, 4), lag(s, 5)] for s in series])
    assert seventh > others + 0.02


@pytest.mark.parametrize("generator", GENERATORS)
def test_values_are_missing_in_bursts(generator: str) -> None:
    missing = [np.isnan(full(rows, rows.streams["resting_heart_rate"])) for rows in people(generator)]
    share = np.mean(np.concatenate(missing))
    assert 0.05 < share < 0.35
    after_a_gap = np.mean(np.concatenate([m[1:][m[:-1]] for m in missing]))
    assert after_a_gap > 1.5 * share, "a day after a missing one is missing more often"


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize(
    ("stream", "day", "low", "high"),
    [
        ("resting_heart_rate", -7, -0.4, 0.5),
        ("resting_heart_rate", -1, 0.4, 1.3),
        ("resting_heart_rate", 0, 0.5, 1.5),
        ("resting_heart_rate", 1, 0.6, 1.6),
        ("resting_heart_rate", 7, -1.3, -0.3),
        ("steps", -3, -0.4, 0.4),
        ("steps", 1, -1.3, -0.4),
        ("steps", 5, -1.9, -0.8),
    ],
)
def test_the_illness_shows_as_in_the_cohort_of_the_design_note(
    generator: str, stream: str, day: int, low: float, high: float
) -> None:
    """Median robust z: heart rate +0.7, +0.8, +1.0 on days -1, 0, 1, -0.9 after day 5; steps -0.8, -1.4 on 1 and 5."""
    assert low < median_z(generator, stream, day) < high


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_fifth_of_people_does_not_respond(generator: str) -> None:
    """Mishra 2020: alterations in 80 % of cases."""
    assert 0.7 < np.mean([rows.subject.responds for rows in people(generator)]) < 0.87
    assert abs(median_z(generator, "resting_heart_rate", 1, responds=False)) < 0.7
    assert median_z(generator, "resting_heart_rate", 1, responds=True) > 1


@pytest.mark.parametrize("generator", GENERATORS)
def test_other_causes_raise_the_heart_rate_too(generator: str) -> None:
    far = [d for rows in people(generator) for d in rows.subject.decoy_days if d < -14]
    days = sum(-14 - rows.subject.days[0] for rows in people(generator))
    assert 0.02 < len(far) / days < 0.25
    raised, others = [], []
    for rows in people(generator):
        series = full(rows, rows.streams["resting_heart_rate"])
        centred = series - np.nanmedian(series)
        day = np.arange(rows.subject.days[0], rows.subject.days[1] + 1)
        decoy = np.isin(day, rows.subject.decoy_days)
        raised.append(centred[decoy & (day < -14)])
        others.append(centred[~decoy & (day < -14)])
    assert np.nanmean(np.concatenate(raised)) > np.nanmean(np.concatenate(others)) + 1


@pytest.mark.parametrize("generator", GENERATORS)
def test_treatment_follows_its_cycle(generator: str) -> None:
    lengths = {rows.subject.cycle_length for rows in people(generator)}
    assert lengths == {0, 14, 21, 28}
    for rows in people(generator):
        cycle_day = rows.streams["cycle_day"]
        if rows.subject.cycle_length == 0:
            assert np.all(np.isnan(cycle_day))
        else:
            steps = np.diff(cycle_day) - np.diff(rows.day)
            assert set(np.unique(steps % rows.subject.cycle_length)) <= {0.0}


def test_an_unknown_generator_is_refused() -> None:
    with pytest.raises(ValueError, match="generators: ar"):
        simulate("gauss", 3, 1)
    with pytest.raises(ValueError, match="no cohort of 0"):
        simulate("ar", 0, 1)


@pytest.mark.parametrize("name", [*GENERATORS, "streams"])
def test_every_parameter_has_a_source(name: str) -> None:
    assert load(name).version.startswith(f"{name}-")


def test_a_parameter_without_a_source_is_refused() -> None:
    good = 'version = "x-1"\na = { value = 1.0, unit = "bpm", mark = "A", source = "s" }\n'
    assert parse(good)["a"] == 1.0
    for old, new in [
        ('"A"', '"Z"'), ('"s"', '""'), (', source = "s"', ""), ("1.0", '"1"'), ("1.0", "[]"), ("version", "edition"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=r"."):
            parse(good.replace(old, new))


@given(
    st.text(max_size=80), st.sampled_from(["", 'version = "x"\n', f'version = "x"\na = {{ mark = "{MARKS[0]}" }}\n'])
)
def test_any_text_is_read_or_refused(text: str, start: str) -> None:
    with suppress(ValueError):
        assert parse(start + text).version
