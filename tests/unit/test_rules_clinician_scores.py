"""ASTCT, ICE and ICANS, MASCC, CISNE: vectors of the published tables; a missing item is no score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from edge_twin.errors import CriteriaError, ProgramError
from edge_twin.flags import clinician_scores
from edge_twin.flags.clinician_scores import (
    Burden,
    Cisne,
    CytokineRelease,
    Mascc,
    Neurotoxicity,
    OxygenDevice,
    astct_crs,
    cisne,
    icans,
    mascc,
)
from edge_twin.observation import Origin
from edge_twin.program import load_program, load_rule_pack, program_names

FEVER = CytokineRelease(fever=True, fever_treated=False, hypotension=False, vasopressors=0, oxygen=OxygenDevice.NONE)
AWAKE = Neurotoxicity(age_years=50.0, ice=10, consciousness=0, seizure=0, motor=0, oedema=0)
BEST = Mascc(
    burden=Burden.NONE_OR_MILD,
    systolic_mmhg=120.0,
    copd=False,
    solid_or_no_fungal=True,
    dehydration=False,
    outpatient=True,
    age_years=59.0,
)
QUIET = Cisne(
    solid_and_stable=True,
    ecog=1,
    glucose_mg_per_dl=120.0,
    diabetes_or_steroids=False,
    copd=False,
    cardiovascular=False,
    mucositis=1,
    monocytes_10_9_per_l=0.2,
)
CANNULA = OxygenDevice.LOW_FLOW_CANNULA


CRS_VECTORS: list[Any] = [
    ({}, 1),
    ({"hypotension": True}, 2),
    ({"oxygen": CANNULA, "flow_l_per_min": 6.0}, 2),
    ({"oxygen": CANNULA, "flow_l_per_min": 6.1}, 3),
    ({"oxygen": CANNULA, "flow_l_per_min": 7.0}, 3),
    ({"oxygen": OxygenDevice.BLOW_BY}, 2),
    ({"oxygen": OxygenDevice.HIGH_FLOW}, 3),
    ({"oxygen": OxygenDevice.POSITIVE_PRESSURE}, 4),
    ({"hypotension": True, "vasopressors": 1}, 3),
    ({"hypotension": True, "vasopressors": 2}, 4),
    ({"hypotension": True, "vasopressors": 1, "oxygen": CANNULA, "flow_l_per_min": 2.0}, 3),
    ({"fever": False, "fever_treated": True, "hypotension": True}, 2),
    ({"fever": False, "fever_treated": False, "hypotension": True}, 0),
    ({"fever": False, "fever_treated": False}, 0),
    ({"fever": False, "fever_treated": True}, 0),
]


@pytest.mark.parametrize(("changed", "grade"), CRS_VECTORS)
def test_astct_cytokine_release(changed: dict[str, Any], grade: int) -> None:
    """Lee et al., Biol Blood Marrow Transplant 2019;25:625."""
    result = astct_crs(replace(FEVER, **changed))
    assert (result.value, result.origin) == (grade, Origin.CLINICIAN)


def test_a_cannula_without_its_flow_is_no_grade() -> None:
    assert astct_crs(replace(FEVER, oxygen=CANNULA)).missing == ("flow_l_per_min",)


ICANS_VECTORS: list[Any] = [
    *[({"ice": points}, grade) for points, grade in ((10, 0), (9, 1), (7, 1), (6, 2), (3, 2), (2, 3), (0, 3))],
    ({"ice": 0, "consciousness": 4}, 4),
    ({"ice": 3, "seizure": 3}, 3),
    ({"consciousness": 1}, 1),
    ({"consciousness": 2}, 2),
    ({"consciousness": 3}, 3),
    ({"seizure": 4}, 4),
    ({"motor": 4}, 4),
    ({"oedema": 3}, 3),
    ({"oedema": 4}, 4),
]


@pytest.mark.parametrize(("changed", "grade"), ICANS_VECTORS)
def test_icans_is_the_worst_row(changed: dict[str, Any], grade: int) -> None:
    """Lee 2019; PMC8403007."""
    assert icans(replace(AWAKE, **changed)).value == grade


@pytest.mark.parametrize(("age", "graded"), [(11.9, False), (12.0, True)])
def test_ice_is_not_for_children(age: float, graded: bool) -> None:  # noqa: FBT001 - parametrised
    assert (icans(replace(AWAKE, age_years=age)).value is not None) is graded


@pytest.mark.parametrize("changed", [{"ice": 11}, {"ice": -1}, {"seizure": 2}, {"motor": 3}, {"consciousness": 5}])
def test_points_that_do_not_exist_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(CriteriaError) as caught:
        icans(replace(AWAKE, **changed))
    assert caught.value.reason == "bad_value"


MASCC_VECTORS: list[Any] = [
    ({}, 26),
    ({"burden": Burden.MODERATE}, 24),
    ({"burden": Burden.SEVERE}, 21),
    ({"systolic_mmhg": 90.0}, 26),
    ({"systolic_mmhg": 89.0}, 21),
    ({"copd": True}, 22),
    ({"solid_or_no_fungal": False}, 22),
    ({"dehydration": True}, 23),
    ({"outpatient": False}, 23),
    ({"age_years": 60.0}, 24),
    ({"age_years": 60.0, "copd": True}, 20),
]


@pytest.mark.parametrize(("changed", "points"), MASCC_VECTORS)
def test_mascc(changed: dict[str, Any], points: int) -> None:
    """eviQ, PMC4500479; 20, 21 and 22 against the threshold of 21."""
    result = mascc(replace(BEST, **changed))
    assert result.value == points
    assert result.note.startswith("at or above 21" if points >= 21 else "below 21")
    assert "does not exclude complications" in result.note


CISNE_VECTORS: list[Any] = [
    ({}, 0, 1),
    ({"ecog": 2}, 2, 2),
    ({"glucose_mg_per_dl": 121.0}, 2, 2),
    ({"glucose_mg_per_dl": 249.0, "diabetes_or_steroids": True}, 0, 1),
    ({"glucose_mg_per_dl": 250.0, "diabetes_or_steroids": True}, 2, 2),
    ({"copd": True}, 1, 2),
    ({"cardiovascular": True}, 1, 2),
    ({"mucositis": 2}, 1, 2),
    ({"monocytes_10_9_per_l": 0.19}, 1, 2),
    ({"ecog": 2, "copd": True}, 3, 3),
    ({"ecog": 2, "glucose_mg_per_dl": 130.0, "copd": True, "cardiovascular": True, "mucositis": 3,
      "monocytes_10_9_per_l": 0.0}, 8, 3),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "points", "level"), CISNE_VECTORS)
def test_cisne(changed: dict[str, Any], points: int, level: int) -> None:
    """Carmona-Bayonas et al., J Clin Oncol 2015;33:465; PMC6404710."""
    result = cisne(replace(QUIET, **changed))
    assert (result.value, result.note.partition(";")[0]) == (points, f"class {level} of 3")


def test_cisne_is_not_for_every_patient() -> None:
    result = cisne(replace(QUIET, solid_and_stable=False))
    assert result.value is None
    assert "only for adults with a solid tumour" in result.note


@pytest.mark.parametrize(
    ("score", "items"),
    [(astct_crs, FEVER), (icans, AWAKE), (mascc, BEST), (cisne, QUIET)],
    ids=lambda part: str(part)[:20],
)
def test_hz_score_01_a_missing_item_is_no_score(score: Callable[[Any], clinician_scores.Result], items: Any) -> None:  # noqa: ANN401
    for field in fields(items):
        if field.name == "flow_l_per_min":
            continue
        result = score(replace(items, **{field.name: None}))
        assert result.value is None
        assert result.missing == (field.name,)


def test_hz_score_02_no_rule_and_no_program_uses_them() -> None:
    folder = Path(clinician_scores.__file__).parents[1]
    users = [
        path.name
        for path in folder.rglob("*.py")
        if "clinician_scores" in path.read_text(encoding="utf-8") and path.name != "clinician_scores.py"
    ]
    assert users == []
    tables = {table for name in program_names() for table in load_program(name).thresholds}
    assert not tables & {"mascc", "cisne", "ice", "astct_crs"}


@pytest.mark.parametrize(
    ("name", "reason"), [("nothing", "not_found"), ("ctcae_v5", "malformed"), ("../x", "malformed")]
)
def test_a_rule_pack_that_is_none_is_refused(name: str, reason: str) -> None:
    with pytest.raises(ProgramError) as caught:
        load_rule_pack(name)
    assert caught.value.reason == reason


def outcomes() -> list[object]:
    """Every vector of this file, as it comes out."""
    cases: list[tuple[Callable[[Any], object], Any, list[Any]]] = [
        (astct_crs, FEVER, CRS_VECTORS),
        (icans, AWAKE, [*ICANS_VECTORS, ({"age_years": 11.9},), ({"age_years": 12.0},)]),
        (mascc, BEST, MASCC_VECTORS),
        (cisne, QUIET, CISNE_VECTORS),
    ]
    return [score(replace(items, **row[0])) for score, items, rows in cases for row in rows]


STEPS = {"monocytes_below_10_9_per_l": 0.02, "low_flow_at_most_l_per_min": 0.5}


@pytest.mark.parametrize(
    ("table", "name"), [(table, name) for table, rows in load_rule_pack("clinician_scores")[1].items() for name in rows]
)
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_every_threshold_is_noticed_when_it_moves(
    monkeypatch: pytest.MonkeyPatch, table: str, name: str, side: float
) -> None:
    before = outcomes()
    version, tables = load_rule_pack("clinician_scores")
    rule = tables[table][name]
    tables[table][name] = replace(rule, value=rule.value + side * STEPS.get(name, 1.0))
    monkeypatch.setattr(clinician_scores, "_pack", lambda: (version, tables))
    assert outcomes() != before
