"""Schedules of equal total dose: limits first, then the rarest low nadir; nothing is brought forward."""

from __future__ import annotations

import pytest

from edge_twin.bundle import load_bundle
from edge_twin.engines import select_engine
from edge_twin.program import Limit, LimitKind
from edge_twin.reduced_model import ReducedModel
from edge_twin.scheduling import Candidate, Cycle, Split, administrations, rank_schedules
from edge_twin_models import bundle_path

BUNDLE = load_bundle(bundle_path("aml"))
MODEL = ReducedModel(BUNDLE, select_engine(BUNDLE, prefer="numpy"))
CYCLE = Cycle(10_800.0, 0.125, 1.8, 28.0)
SPLITS = (Split("six", (0.0, 0.5, 2.0, 2.5, 4.0, 4.5)), Split("two", (0.0, 0.5)), Split("one", (0.0,)))
DOSE = Limit("dose", LimitKind.AT_MOST, 3000.0, "mg/m2", ("label",))
START = Limit("start", LimitKind.AT_LEAST, 3.0, "10*9/L", ("recovered",))


def ranked(delays: tuple[float, ...] = (0.0, 7.0)) -> tuple[Candidate, ...]:
    given = administrations(Cycle(10_800.0, 0.125, 1.8, 0.0), SPLITS[0], 0.0)
    return rank_schedules(
        MODEL, MODEL.prior_sample(100, 1), given, CYCLE, delays=delays, splits=SPLITS, threshold=1.0,
        dose_limit_mg_per_m2=DOSE, start_limit=START,
    )  # fmt: skip


def test_every_candidate_gives_the_same_total_and_none_is_early() -> None:
    found = ranked()
    assert len(found) == 6
    assert all(sum(d.amount_mg for d in c.doses) == pytest.approx(10_800.0) for c in found)
    assert all(c.doses[0].start_day >= CYCLE.planned_day for c in found)


def test_limits_come_before_the_nadir_and_are_named() -> None:
    found = ranked()
    broken = [bool(candidate.limits_broken) for candidate in found]
    assert broken == sorted(broken)
    assert all(("label" in c.limits_broken[0]) == (c.split == "one") for c in found if c.limits_broken)
    kept = [candidate.p_below for candidate in found if not candidate.limits_broken]
    assert kept == sorted(kept)
    assert found[0].split == "two"


def test_a_cycle_is_not_brought_forward() -> None:
    with pytest.raises(ValueError, match="brought forward"):
        ranked((-1.0,))
