"""The two generators share no model, and their parameters are frozen since before the detector was tuned."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_twin_models import cohorts
from edge_twin_models.cohorts import emitting, illness, semi_markov, simulate
from edge_twin_models.cohorts.noise import autoregressive, gaps, heavy_tailed, saturated
from edge_twin_models.cohorts.parameters import Parameters, load, markdown

ROOM = Path(cohorts.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "cohorts.md"

# A detector has been tuned and judged on cohorts made with these files: whoever changes one makes a new version of it,
# and every figure made with the old one is void.
FROZEN = {
    "ar": "c45d45672e14d30d4709843cf465951d531813b94ac36b4faae8f889450a17ea",
    "state": "61550c779fed64773e4ac064024521f483f92836f8a117b1cf978370a926d836",
    "streams": "52aad197864af8818b6befd3e8f7e5c90a7068165b194bae97a672831407b917",
}


@pytest.mark.parametrize("name", FROZEN)
def test_the_parameters_are_frozen(name: str) -> None:
    assert hashlib.sha256((ROOM / f"{name}.toml").read_bytes()).hexdigest() == FROZEN[name]


@pytest.mark.parametrize("name", FROZEN)
def test_the_page_shows_every_parameter_with_mark_and_source(name: str) -> None:
    assert markdown((ROOM / f"{name}.toml").read_text(encoding="utf-8")) in PAGE.read_text(encoding="utf-8")


def imported(module: str) -> set[str]:
    tree = ast.parse((ROOM / f"{module}.py").read_text(encoding="utf-8"))
    found = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.removeprefix("edge_twin_models.cohorts.") for name in found if name.startswith("edge_twin_models")}


def test_the_second_generator_uses_nothing_of_the_first() -> None:
    of_the_first = {"autoregressive", "events", "illness"}
    assert of_the_first.isdisjoint(imported("emitting") | imported("semi_markov"))
    assert {"emitting", "semi_markov"}.isdisjoint(imported("autoregressive"))


def with_values(parameters: Parameters, **values: float) -> Parameters:
    return replace(parameters, values={**parameters.values, **values})


def test_in_the_second_generator_the_noise_depends_on_wear() -> None:
    """A night worn in part gives a higher and less certain resting value: its low quantile misses the morning."""
    state = with_values(load("state"), level_sd=0.0, epoch_sd=2.0)
    whole, part = (
        emitting.resting(np.random.default_rng(1), np.zeros(4000), 2, with_values(state, partial_share=share))
        for share in (0.0, 1.0)
    )
    assert np.std(part) > 1.3 * np.std(whole)
    assert np.mean(part) > np.mean(whole) + 0.5


def test_in_the_second_generator_ill_people_wear_the_device_less() -> None:
    table = simulate("state", 260, 7)
    quiet, ill = [], []
    for person in table.people:
        rows = table.of(person.name)
        worn = rows.day[np.isfinite(rows.streams["resting_heart_rate"])]
        quiet.append(np.mean(np.isin(np.arange(person.days[0], -14), worn)))
        ill.append(np.mean(np.isin(np.arange(1, 8), worn)))
    assert np.mean(ill) < np.mean(quiet) - 0.03


def test_states_last_as_long_as_the_file_says() -> None:
    """Durations are log-normal, not geometric: hardly any stay of a well person ends after a day."""
    p = load("state")
    weekday = np.arange(4000) % 7
    states = semi_markov.draw_states(np.random.default_rng(2), weekday, p)
    starts = np.flatnonzero(np.diff(states, prepend=-1))
    stays = np.diff(starts)[states[starts[:-1]] == semi_markov.WELL]
    assert abs(np.median(stays) - p.list("sojourn_median")[semi_markov.WELL]) <= 1
    assert np.mean(stays == 1) < 0.15
    assert set(np.unique(states)) == {0, 1, 2, 3}


def test_fever_raises_the_heart_rate_by_liebermeisters_rule() -> None:
    p = with_values(load("state"), beats_log_sd=0.0, direct_heart_rate=0.0, rebound=0.0, responders=1.0)
    ill = semi_markov.draw_illness(np.random.default_rng(3), np.arange(-20.0, 40.0), p)
    np.testing.assert_allclose(ill.heart_rate, 8.0 * ill.fever)
    assert ill.drive.max() <= 1
    assert ill.drive[:5].max() == 0


def test_a_slow_response_reaches_the_share_of_its_time_constant() -> None:
    response = semi_markov.followed(np.ones(50), 5.0)
    assert response[4] == pytest.approx(1 - np.exp(-1))  # after five days of a drive of 1
    assert response[-1] == pytest.approx(1.0, abs=1e-4)


def test_the_first_generators_response_rises_before_onset_and_falls_below_the_level() -> None:
    strong = illness.Response(6.0, 4.0, 1.0, 3.0, 2.0, 14.0, 0.5, 1.0)
    p, day = load("ar"), np.arange(-10.0, 40.0)
    curve = illness.heart_rate(strong, day, p)
    assert illness.activation(strong, day)[day == 1.0] == pytest.approx(1.0)
    assert np.abs(curve[day < -4]).max() < 1e-6
    assert curve[day == -1][0] > 2
    assert curve[(day >= 5) & (day <= 12)].max() < 0
    assert day[np.argmin(illness.log_steps(strong, day, p))] == 5.0
    silent = replace(strong, peak=0.0, undershoot=0.0, late_rise=0.0, steps_factor=0.0)
    assert not illness.heart_rate(silent, day, p).any()
    assert not illness.log_steps(silent, day, p).any()


def test_noise_has_the_moments_that_it_promises() -> None:
    rng = np.random.default_rng(4)
    series = autoregressive(rng, 40_000, 0.6)
    assert np.std(series) == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(series[1:], series[:-1])[0, 1] == pytest.approx(0.6, abs=0.03)
    tails = heavy_tailed(rng, 40_000, 5.0)
    assert np.std(tails) == pytest.approx(1.0, abs=0.05)
    assert np.mean(np.abs(tails) > 4) > 20 * 6.3e-5  # of a normal deviate
    inside = gaps(rng, 40_000, 0.2, 3.0)
    assert np.mean(inside) == pytest.approx(0.2, abs=0.02)
    starts = np.sum(inside[1:] & ~inside[:-1])
    assert np.sum(inside) / starts == pytest.approx(3.0, abs=0.3)
    assert saturated(0.1, 3.0) == pytest.approx(0.1, abs=1e-3)
    assert saturated(50.0, 3.0) <= 3.0
