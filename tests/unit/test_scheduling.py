"""Schedules of equal total dose: limits first, then the rarest low nadir; nothing is brought forward."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_twin.bundle import load_bundle
from edge_twin.engines import select_engine
from edge_twin.errors import ProgramError
from edge_twin.limit_checks import EFFECT_SHARE
from edge_twin.program import Limit, LimitKind, load_program
from edge_twin.recovery import recovery_days
from edge_twin.reduced_model import ReducedModel
from edge_twin.scheduling import (
    Candidate,
    Cycle,
    Search,
    Split,
    administrations,
    member_outcomes,
    rank_schedules,
    ranked,
)
from edge_twin_models import bundle_path

BUNDLE = load_bundle(bundle_path("aml"))
MODEL = ReducedModel(BUNDLE, select_engine(BUNDLE, prefer="numpy"))
CYCLE = Cycle(10_800.0, 0.125, 1.8, 28.0)
SPLITS = (
    Split("six", (0.0, 0.5, 2.0, 2.5, 4.0, 4.5)),
    Split("two", (0.0, 0.5)),
    Split("one", (0.0,)),
    Split("spread", (0.0, 4.0, 8.0, 12.0, 16.0, 20.0)),
)
DOSE = Limit("dose_per_administration_mg_per_m2", LimitKind.AT_MOST, 3000.0, "mg/m2", ("label",))
START = Limit("wbc_on_dose_day", LimitKind.AT_LEAST, 3.0, "10*9/L", ("recovered",))
EFFECT = Limit(EFFECT_SHARE, LimitKind.AT_LEAST, 0.95, "1", ("no gain by less effect",))
SEARCH = Search((0.0, 7.0), SPLITS, 1.0, "wbc_on_dose_day", (DOSE, START))
GIVEN = administrations(Cycle(10_800.0, 0.125, 1.8, 0.0), SPLITS[0], 0.0)


@pytest.fixture(scope="module")
def found() -> tuple[Candidate, ...]:
    return rank_schedules(MODEL, MODEL.prior_sample(100, 1), GIVEN, CYCLE, SEARCH)


def test_every_candidate_gives_the_same_total_and_none_is_early(found: tuple[Candidate, ...]) -> None:
    assert len(found) == 8
    assert all(sum(d.amount_mg for d in c.doses) == pytest.approx(10_800.0) for c in found)
    assert all(c.doses[0].start_day >= CYCLE.planned_day for c in found)


def test_limits_come_before_the_nadir_and_are_named(found: tuple[Candidate, ...]) -> None:
    broken = [bool(candidate.limits_broken) for candidate in found]
    assert broken == sorted(broken)
    assert all(("label" in c.limits_broken[0]) == (c.split == "one") for c in found if c.limits_broken)
    kept = [candidate.p_below for candidate in found if not candidate.limits_broken]
    assert kept == sorted(kept)
    assert found[0].split == "two"


def test_equal_dose_is_not_equal_effect_and_the_order_can_hold_it(found: tuple[Candidate, ...]) -> None:
    """The effect is logarithmic: one large dose has less of it than the same amount in parts."""
    shares = {candidate.split: candidate.effect_share or 0.0 for candidate in found}
    assert shares["one"] < shares["two"] < 0.95 <= shares["six"] <= shares["spread"]
    held = ranked(found, EFFECT)
    assert held[0].split in {"six", "spread"}
    assert held[0].p_below >= found[0].p_below
    assert {c.split for c in held if not c.limits_broken} <= {"six", "spread"}
    assert any("no gain by less effect" in broken for c in held for broken in c.limits_broken)


def test_known_patients_are_each_judged_alone(found: tuple[Candidate, ...]) -> None:
    members = MODEL.prior_sample(100, 1)
    outcome = member_outcomes(MODEL, members, GIVEN, CYCLE, SEARCH, (0.0, SPLITS[1]))
    (same,) = [c for c in found if (c.split, c.delay_days) == ("two", 0.0)]
    assert float((outcome.nadirs < 1.0).mean()) == same.p_below
    assert outcome.effect_share == same.effect_share
    strict = replace(SEARCH, limits=(DOSE, START.tightened(6.0, "care plan")))
    stricter = member_outcomes(MODEL, members, GIVEN, CYCLE, strict, (0.0, SPLITS[1]))
    assert 0 < int(stricter.kept.sum()) < int(outcome.kept.sum())


def test_a_cycle_is_not_brought_forward() -> None:
    with pytest.raises(ValueError, match="brought forward"):
        replace(SEARCH, delays=(-1.0,))
    with pytest.raises(ValueError, match="at least one administration"):
        replace(SEARCH, splits=(Split("none", ()),))


def test_a_limit_that_nothing_checks_is_refused() -> None:
    unknown = Limit("bilirubin", LimitKind.AT_MOST, 1.0, "mg/dL", ("label",))
    with pytest.raises(ProgramError) as caught:
        rank_schedules(MODEL, MODEL.prior_sample(3, 1), GIVEN, CYCLE, replace(SEARCH, limits=(unknown,)))
    assert caught.value.reason == "unknown_limit"


def test_the_program_states_the_search() -> None:
    program = load_program("aml")
    search = Search.of(program)
    assert search.splits[0].days == program.regimens[0].administration_days
    assert len({split.days for split in search.splits}) == len(search.splits) > 10
    assert (search.threshold, search.count_limit) == (1.0, "wbc_on_dose_day")
    assert set(search.limits) == set(program.limits.values())


def test_recovery_is_for_good() -> None:
    days = np.array([0.0, 1.0, 2.0, 3.0])
    counts = np.array([[2.0, 0.5, 2.0, 2.0], [2.0, 2.0, 0.5, 2.0], [2.0, 0.5, 2.0, 2.0], [2.0, 2.0, 2.0, 0.5]])
    assert recovery_days(counts, days, 1.0).tolist() == [0.0, 3.0, 2.0, np.inf]
