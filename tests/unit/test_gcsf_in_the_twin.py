"""G-CSF on record: the model that knows it answers, and what nobody knows is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_twin.case import read_case, replay
from edge_twin.contract import Dose, Refusal, TwinInput
from edge_twin.errors import ProgramError
from edge_twin.flag import FlagKind
from edge_twin.jsonform import output_form
from edge_twin.observation import Observation
from edge_twin.patient import PatientTwin
from edge_twin.patient_state import restore_state, save_state
from edge_twin.program import Program, Support
from edge_twin.reduced_model import ReducedModel
from edge_twin.rehearsal import NextCycle, candidates, refused_regimens, rehearse_with
from edge_twin.twin import advance
from edge_twin_app.cli import main
from edge_twin_app.models import load_model

Count = Callable[[float, datetime], Observation]


@pytest.fixture(scope="module")
def gcsf() -> ReducedModel:
    return load_model("neutropenia-gcsf", "numpy")


def injections(dose: Dose, days: int = 5, drug: str = "filgrastim") -> tuple[Dose, ...]:
    first = dose.time + timedelta(days=2)
    return tuple(Dose(first + timedelta(days=day), drug, 0.3, timedelta(0)) for day in range(days))


@pytest.fixture
def given(program: Program, model: ReducedModel, gcsf: ReducedModel, docetaxel: Dose, count: Count) -> TwinInput:
    readings = tuple(count(v, docetaxel.time + timedelta(days=d)) for d, v in ((0, 4.0), (7, 0.6), (8, 0.4)))
    now = docetaxel.time + timedelta(days=9)
    return TwinInput(now, "UTC", program, model, readings, doses=(docetaxel,), members=100, further_models=(gcsf,))


def test_hz_dose_04_with_filgrastim_on_record_the_model_that_knows_it_answers(
    given: TwinInput, docetaxel: Dose
) -> None:
    assert advance(given).model_id.startswith("neutropenia@")
    output = advance(replace(given, doses=(docetaxel, *injections(docetaxel))))
    assert output.model_id.startswith("neutropenia-gcsf@")
    assert Refusal.REGIMEN_NOT_COVERED not in output.refusals
    assert output.forecast is not None
    assert output.posterior is not None
    assert output.posterior.names == ("circ0", "mtt", "slope", "gamma", "beta")
    # Known filgrastim explains a part of the count: without it the same model expects less.
    without = advance(replace(given, model=given.further_models[0], further_models=()))
    assert without.forecast is not None
    assert output.forecast.nadir != without.forecast.nadir


@pytest.mark.parametrize("drug", ["filgrastim", "pegfilgrastim"])
def test_hz_dose_04_what_no_model_knows_is_refused_by_name_and_the_rest_stays(
    given: TwinInput, docetaxel: Dose, drug: str
) -> None:
    models = () if drug == "filgrastim" else given.further_models
    output = advance(replace(given, doses=(docetaxel, *injections(docetaxel, drug=drug)), further_models=models))
    assert (output.forecast, output.posterior) == (None, None)
    assert output.refusals == (Refusal.REGIMEN_NOT_COVERED,)
    assert output.uncovered_drugs == (drug,)
    assert output_form(output)["uncovered_drugs"] == [drug]
    assert FlagKind.NEUTROPHILS_LOW in {flag.kind for flag in output.flags}
    assert FlagKind.NEUTROPENIA_FORECAST not in {flag.kind for flag in output.flags}


def test_an_injection_that_is_still_to_come_changes_nothing(given: TwinInput, docetaxel: Dose) -> None:
    later = Dose(given.now + timedelta(hours=1), "filgrastim", 0.3, timedelta(0))
    assert output_form(advance(replace(given, doses=(docetaxel, later)))) == output_form(advance(given))


def test_hz_dose_03_of_two_amounts_of_filgrastim_the_smaller_is_taken(given: TwinInput, docetaxel: Dose) -> None:
    less, more = (Dose(docetaxel.time, "filgrastim", amount, timedelta(0)) for amount in (0.1, 0.5))
    both, one = (advance(replace(given, doses=(docetaxel, *rest))) for rest in ((more, less), (less,)))
    assert Refusal.CONFLICTING_DOSES in both.refusals
    assert both.forecast is not None
    assert one.forecast is not None
    np.testing.assert_array_equal(both.forecast.median, one.forecast.median)


def test_shifting_by_whole_days_changes_no_bit_with_filgrastim(given: TwinInput, docetaxel: Dose) -> None:
    doses = (docetaxel, *injections(docetaxel))
    week = timedelta(days=7)
    later = replace(
        given,
        now=given.now + week,
        doses=tuple(replace(dose, time=dose.time + week) for dose in doses),
        observations=tuple(replace(o, time=o.time + week) for o in given.observations),
    )
    first, second = advance(replace(given, doses=doses)).forecast, advance(later).forecast
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.median, second.median)


# --- rehearsal -----------------------------------------------------------------------------------------


def planned(docetaxel: Dose, drug: str = "docetaxel") -> NextCycle:
    return NextCycle(replace(docetaxel, drug=drug, time=docetaxel.time + timedelta(days=21)), 1.8)


def test_filgrastim_is_rehearsed_by_the_model_that_knows_it_and_shown_beside_its_own_without(
    given: TwinInput, docetaxel: Dose
) -> None:
    found = candidates(given, advance(given), planned(docetaxel))
    assert [candidate.model.id.split("@")[0] for candidate in found] == ["neutropenia", "neutropenia-gcsf"]
    *plain, supported = rehearse_with(found, given.doses, planned(docetaxel), given.program)
    assert {option.model_id for option in plain} == {found[0].model.id}
    assert supported.model_id == found[1].model.id
    assert supported.rank is None
    assert supported.support.startswith("filgrastim 0.3 mg, 7 daily injections from day 2")
    assert supported.unsupported_nadir_median is not None
    assert supported.unsupported_p_below is not None
    assert supported.nadir_median > supported.unsupported_nadir_median
    assert supported.p_anc_below_0_5 < supported.unsupported_p_below
    assert all(option.support == "" and option.unsupported_nadir_median is None for option in plain)


def test_with_filgrastim_on_record_one_model_rehearses_and_ranks_all(given: TwinInput, docetaxel: Dose) -> None:
    recorded = replace(given, doses=(docetaxel, *injections(docetaxel)))
    found = candidates(recorded, advance(recorded), planned(docetaxel))
    options = rehearse_with(found, recorded.doses, planned(docetaxel), recorded.program)
    assert [candidate.model.id.split("@")[0] for candidate in found] == ["neutropenia-gcsf"]
    assert len(options) == len(recorded.program.regimens)
    assert all((option.rank is not None) == option.allowed for option in options)


def test_hard_limits_hold_with_filgrastim(given: TwinInput, docetaxel: Dose) -> None:
    strict = replace(given, program=given.program.with_tightened("dose_per_cycle_mg_per_m2", 50.0, "care plan"))
    found = candidates(strict, advance(strict), planned(docetaxel))
    *_, supported = rehearse_with(found, strict.doses, planned(docetaxel), strict.program)
    assert not supported.allowed
    assert "care plan" in supported.limits_broken[0]


def test_hz_dose_04_a_regimen_that_nothing_covers_is_refused_by_name(
    given: TwinInput, docetaxel: Dose, model: ReducedModel
) -> None:
    (refused,) = refused_regimens((model,), given.doses, planned(docetaxel), given.program)
    assert (refused.option, refused.drugs, refused.reason) == (
        "100_percent_gcsf", ("filgrastim",), "regimen_not_covered",
    )  # fmt: skip
    unknown = replace(given.program.regimens[-1], id="peg", support=Support("pegfilgrastim", 6.0, 1.0, 1))
    program = replace(given.program, regimens=(*given.program.regimens, unknown))
    names = [row.option for row in refused_regimens(given.models, given.doses, planned(docetaxel), program)]
    assert names == ["peg"]
    with pytest.raises(ProgramError, match="paclitaxel") as caught:
        rehearse_with(
            candidates(given, advance(given), planned(docetaxel)),
            given.doses,
            planned(docetaxel, "paclitaxel"),
            given.program,
        )
    assert caught.value.reason == "regimen_not_covered"


# --- the object, its file, and the commands --------------------------------------------------------------


def test_the_patients_object_assimilates_saves_and_rehearses_with_filgrastim(given: TwinInput, docetaxel: Dose) -> None:
    assert given.model is not None
    twin = PatientTwin(given.model, given.program, further_models=given.further_models)
    twin = twin.given(docetaxel, *injections(docetaxel)).counted(0.6, docetaxel.time + timedelta(days=8))
    assert twin.forecast(given.now).model_id.startswith("neutropenia-gcsf@")
    assert twin.explain(given.now)[0].startswith("circ0")
    state = restore_state(twin.save(given.now))
    assert [dose.drug for dose in state.doses] == ["docetaxel", *["filgrastim"] * 5]
    assert state.model_id.startswith("neutropenia-gcsf@")
    assert save_state(state) == twin.save(given.now)
    assert len(twin.rehearse(planned(docetaxel), given.now)) == len(given.program.regimens)


@pytest.fixture
def case(docetaxel: Dose) -> dict[str, Any]:
    def row(dose: Dose) -> dict[str, Any]:
        return {
            "time": dose.time.isoformat(), "drug": dose.drug, "amount_mg": dose.amount_mg,
            "infusion_minutes": dose.infusion / timedelta(minutes=1),
        }  # fmt: skip

    return {
        "schema": "edge-twin.case/1",
        "time_zone": "UTC",
        "program": "neutropenia",
        "now": [(docetaxel.time + timedelta(days=9)).isoformat()],
        "members": 60,
        "observations": [{"code": "absolute_neutrophil_count", "value": 0.9, "unit": "10*9/L", "source": "lab",
                          "time": (docetaxel.time + timedelta(days=7)).isoformat(), "origin": "lab"}],
        "doses": [row(dose) for dose in (docetaxel, *injections(docetaxel))],
        "next_cycle": {**row(replace(docetaxel, time=docetaxel.time + timedelta(days=21))), "body_surface_m2": 1.8},
    }  # fmt: skip


def test_a_case_with_filgrastim_replays_the_same_bytes(
    case: dict[str, Any], model: ReducedModel, gcsf: ReducedModel
) -> None:
    text = json.dumps(case)
    first = replay(read_case(text), model, (gcsf,))
    assert first == replay(read_case(text), model, (gcsf,))
    (step,) = json.loads(first)["steps"]
    assert step["model_id"].startswith("neutropenia-gcsf@")
    (alone,) = json.loads(replay(read_case(text), model))["steps"]
    assert (alone["refusals"], alone["uncovered_drugs"]) == (["regimen_not_covered"], ["filgrastim"])


def test_the_commands_load_what_the_program_names(
    case: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "case.json"
    path.write_text(json.dumps(case), encoding="utf-8")
    assert main(["replay", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["steps"][0]["model_id"].startswith("neutropenia-gcsf@")
    assert main(["rehearse", str(path), "--json", "--members", "60"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["option"] for row in document["rows"]][-1] == "100_percent_gcsf"
    assert document["refused"] == []
    assert main(["rehearse", str(path), "--members", "60"]) == 0
    assert "which without it says" in capsys.readouterr().out
    case["next_cycle"]["drug"] = "paclitaxel"
    path.write_text(json.dumps(case), encoding="utf-8")
    assert main(["rehearse", str(path), "--members", "60"]) == 1
    printed = capsys.readouterr().err
    assert "[regimen_not_covered]" in printed
    assert "paclitaxel" in printed
