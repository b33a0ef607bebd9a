"""Rehearsal: only what the program lists, every broken limit with its reasons, and the plan must be next."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from edge_twin.contract import Dose
from edge_twin.errors import ProgramError
from edge_twin.program import Limit, LimitKind, Program
from edge_twin.reduced_model import ReducedModel
from edge_twin.rehearsal import NextCycle, rehearse


@pytest.fixture
def ensemble(model: ReducedModel) -> np.ndarray:
    return model.prior_sample(300, 4)


@pytest.fixture
def planned(docetaxel: Dose) -> NextCycle:
    return NextCycle(replace(docetaxel, time=docetaxel.time + timedelta(days=21)), 1.8)


def test_hz_dose_01_only_the_programs_regimens_are_rehearsed_and_none_exceeds_the_plan(
    model: ReducedModel, program: Program, ensemble: np.ndarray, docetaxel: Dose, planned: NextCycle
) -> None:
    options = rehearse(model, ensemble, (docetaxel,), planned, program)
    plain = [regimen for regimen in program.regimens if regimen.support is None]
    assert [option.option for option in options] == [regimen.id for regimen in plain]
    assert all(option.amount_mg <= planned.dose.amount_mg for option in options)
    assert all(option.dose_time >= planned.dose.time for option in options)


def test_less_of_the_drug_means_a_higher_nadir(
    model: ReducedModel, program: Program, ensemble: np.ndarray, docetaxel: Dose, planned: NextCycle
) -> None:
    full, three_quarters, sixty, _ = rehearse(model, ensemble, (docetaxel,), planned, program)
    assert full.nadir_median < three_quarters.nadir_median < sixty.nadir_median
    assert full.p_anc_below_0_5 > three_quarters.p_anc_below_0_5 > sixty.p_anc_below_0_5
    assert full.days_below_0_5 >= three_quarters.days_below_0_5 >= sixty.days_below_0_5
    assert full.nadir_lower < full.nadir_median < full.nadir_upper


def test_hz_dose_01_a_broken_limit_is_named_with_all_its_reasons(
    model: ReducedModel, program: Program, ensemble: np.ndarray, docetaxel: Dose, planned: NextCycle
) -> None:
    strict = program.with_tightened("dose_per_cycle_mg_per_m2", 80.0, "care plan of 2 March")
    options = {o.option: o for o in rehearse(model, ensemble, (docetaxel,), planned, strict)}
    (broken,) = options["100_percent"].limits_broken
    assert "dose_per_cycle_mg_per_m2 100 mg/m2, at most 80" in broken
    assert "prescribing information" in broken
    assert "care plan of 2 March" in broken
    assert not options["100_percent"].allowed
    assert options["75_percent"].allowed


def test_hz_dose_01_a_dose_into_low_counts_breaks_the_limit_of_the_day(
    model: ReducedModel, program: Program, ensemble: np.ndarray, docetaxel: Dose
) -> None:
    too_soon = NextCycle(replace(docetaxel, time=docetaxel.time + timedelta(days=9)), 1.8)
    options = rehearse(model, ensemble, (docetaxel,), too_soon, program)
    assert any("anc_on_dose_day" in broken for broken in options[0].limits_broken)


def test_a_limit_that_nothing_checks_is_refused(
    model: ReducedModel, program: Program, ensemble: np.ndarray, docetaxel: Dose, planned: NextCycle
) -> None:
    unknown = Limit("bilirubin", LimitKind.AT_MOST, 1.0, "mg/dL", ("label",))
    with pytest.raises(ProgramError) as caught:
        rehearse(
            model, ensemble, (docetaxel,), planned, replace(program, limits={**program.limits, "bilirubin": unknown})
        )
    assert caught.value.reason == "unknown_limit"


def test_the_planned_dose_must_be_the_next(
    model: ReducedModel, program: Program, ensemble: np.ndarray, docetaxel: Dose
) -> None:
    with pytest.raises(ProgramError) as caught:
        rehearse(model, ensemble, (docetaxel,), NextCycle(docetaxel, 1.8), program)
    assert caught.value.reason == "planned_dose_not_next"
    with pytest.raises(ProgramError) as caught:
        rehearse(model, ensemble, (), NextCycle(docetaxel, 1.8), program)
    assert caught.value.reason == "no_dose_on_record"
