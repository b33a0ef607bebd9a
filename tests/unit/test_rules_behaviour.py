"""What the clinical rules say and when they stay silent: versions, unknown facts, bad data, bytes of devices."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.care import CareContext, LaboratoryRange, Medicine, MedicineKind
from edge_twin.contract import TwinInput
from edge_twin.features import Feature
from edge_twin.flag import CtcaeVersion, Flag, FlagKind, Urgency
from edge_twin.flags.data_quality import FEATURE_REASONS, STREAMS
from edge_twin.flags.metabolic import fridericia
from edge_twin.jsonform import canonical
from edge_twin.observation import Observation, Origin, Quality, Site, observe
from edge_twin.twin import advance
from edge_twin.wording import reference
from edge_twin_adapters.ble import decode
from edge_twin_adapters.ble.blood_pressure import CuffReading, encode_blood_pressure
from edge_twin_adapters.ble.frame import DecodeContext
from edge_twin_adapters.ble.heart_rate import encode_heart_rate
from edge_twin_adapters.ble.oximeter import Oximetry, encode_spot_check
from edge_twin_app.report import pictures
from tests.rule_bench import ADULT, DOSE, NOW, flags, found, lab, neutropenia, oral, reading, taking

INFUSED = replace(ADULT, cell_therapy=(NOW - timedelta(days=3),))
CRS, BAD = FlagKind.CYTOKINE_RELEASE, FlagKind.DATA_QUALITY


def known(flag: Flag | None) -> Flag:
    assert flag is not None
    return flag


# ---- laboratory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "term", "grade", "said"),
    [
        (CtcaeVersion.V5, "Platelet count decreased", 4, "In the CTCAE v5 grade 4 range of Platelet count decreased"),
        (CtcaeVersion.V6, "Thrombocytopenia", 3, "In the CTCAE v6 grade 3 range of Thrombocytopenia"),
    ],
)
def test_hz_lab_01_the_alert_is_on_the_value_and_the_range_follows_the_sites_version(
    version: CtcaeVersion, term: str, grade: int, said: str
) -> None:
    flag = known(found("laboratory_value/platelets", flags(lab(codes.PLATELETS, 15.0), care=CareContext(version))))
    assert flag.urgency is Urgency.TODAY
    assert (flag.ctcae[0].term, flag.ctcae[0].grade_range) == (term, grade)
    assert said in flag.clinician
    assert "to be confirmed by a clinician" in flag.clinician
    assert "15 ×10⁹/L" in flag.reason
    assert "grade" not in flag.reason.lower()


@pytest.mark.parametrize(("version", "said"), [(CtcaeVersion.V5, "v5 grade 4"), (CtcaeVersion.V6, "v6 grade 3")])
def test_the_measured_count_follows_the_sites_version(version: CtcaeVersion, said: str) -> None:
    flag = known(found(FlagKind.NEUTROPHILS_LOW, flags(lab(codes.NEUTROPHILS, 0.3), care=CareContext(version))))
    assert said in flag.reason
    assert flag.ctcae[0].ctcae_version is version


def test_a_count_below_a_laboratorys_limit_is_in_that_range_at_least() -> None:
    less = lab(codes.NEUTROPHILS, 0.5, attributes={"comparator": "<"})
    flag = known(found(FlagKind.NEUTROPHILS_LOW, flags(less)))
    assert "grade 4 range of Neutrophil count decreased at least" in flag.reason
    assert "<0.5" in flag.reason


def test_v6_has_no_numeric_row_of_lymphocytes_and_says_so() -> None:
    raised = flags(lab(codes.LYMPHOCYTES, 0.1), care=CareContext(CtcaeVersion.V6))
    flag = known(found("laboratory_value/lymphocyte_count", raised))
    assert flag.ctcae == ()
    assert "CTCAE v6 has no numeric row" in flag.clinician


def test_hz_lab_02_creatinine_without_a_reference_is_not_judged_and_not_called_usual() -> None:
    flag = known(found("laboratory_value/creatinine", flags(lab(codes.CREATININE, 1.0))))
    assert flag.urgency is Urgency.NOTE
    assert "was not judged" in flag.reason
    assert [m.id for m in flag.says.data_quality] == ["laboratory.no_reference"]


def test_creatinine_in_the_other_unit_uses_its_own_range() -> None:
    care = replace(ADULT, laboratory_ranges=(LaboratoryRange("creatinine_molar", 60.0, 110.0),))
    flag = known(found("laboratory_value/creatinine_molar", flags(lab(codes.CREATININE_MOLAR, 331.0), care=care)))
    assert flag.urgency is Urgency.TODAY
    assert "331 µmol/L" in flag.reason


def test_two_values_are_two_flags() -> None:
    raised = flags(lab(codes.PLATELETS, 9.0), lab(codes.HAEMOGLOBIN, 6.5))
    assert [flag.topic for flag in raised] == ["platelets", "haemoglobin"]


# ---- sepsis --------------------------------------------------------------------------------------------


def test_hz_sepsis_01_under_chemotherapy_two_criteria_are_urgent_and_a_partial_screen_is_named() -> None:
    sick = (reading(codes.RESPIRATORY_RATE, 22.0), reading(codes.SYSTOLIC_PRESSURE, 100.0))
    flag = known(found(FlagKind.SEPSIS_SCREEN, flags(*sick, doses=(DOSE,))))
    assert flag.urgency is Urgency.NOW
    assert "Partial qSOFA: at least 2 criteria met, 2 of 3 measured; missing: alertness" in flag.clinician
    elsewhere = known(found(FlagKind.SEPSIS_SCREEN, flags(*sick)))
    assert elsewhere.urgency is Urgency.TODAY
    assert "Whether an infection is suspected is not known" in elsewhere.says.data_quality[0].text


# ---- cell therapy --------------------------------------------------------------------------------------


def test_hz_crs_01_fever_after_cell_therapy_calls_now_and_with_low_pressure_is_an_emergency() -> None:
    fever = known(found(CRS, flags(oral(38.0), care=INFUSED)))
    assert fever.action.startswith("Fever after cell therapy: call your team now")
    both = known(found(CRS, flags(oral(38.0), reading(codes.SYSTOLIC_PRESSURE, 89.0), care=INFUSED)))
    assert both.action.startswith("This is an emergency")
    assert both.urgency is fever.urgency is Urgency.NOW
    assert "grade" not in (both.action + both.reason).lower()
    assert both.ctcae == ()


@pytest.mark.parametrize("kind", [MedicineKind.ANTIPYRETIC, MedicineKind.STEROID, MedicineKind.TOCILIZUMAB])
def test_hz_crs_02_a_hidden_fever_is_not_required(kind: MedicineKind) -> None:
    """ASTCT: after antipyretics, tocilizumab or steroids hypotension and hypoxia alone drive it."""
    care = replace(INFUSED, medicines=(taking(kind),), medicines_complete=True)
    flag = known(found(CRS, flags(reading(codes.SYSTOLIC_PRESSURE, 85.0), care=care)))
    assert flag.action.startswith("This is an emergency")
    assert "No fever was recorded; medicines can hide it." in [m.text for m in flag.says.data_quality]


def test_hz_crs_02_unknown_medicines_count_as_hiding_and_a_complete_list_without_them_does_not() -> None:
    low = reading(codes.SYSTOLIC_PRESSURE, 85.0)
    assert found(CRS, flags(low, care=INFUSED)) is not None
    assert found(CRS, flags(low, care=replace(INFUSED, medicines_complete=True))) is None


def test_a_dose_taken_and_ended_since_the_infusion_still_hides() -> None:
    once = Medicine("tocilizumab", MedicineKind.TOCILIZUMAB, NOW - timedelta(days=1), NOW - timedelta(days=1))
    care = replace(INFUSED, medicines=(once,), medicines_complete=True)
    assert found(CRS, flags(reading(codes.SYSTOLIC_PRESSURE, 85.0), care=care)) is not None


def test_a_warm_skin_after_cell_therapy_asks_for_a_reading_by_mouth() -> None:
    raised = flags(oral(38.5, site=Site.SKIN), care=INFUSED)
    assert found(CRS, raised) is None
    assert found(FlagKind.ORAL_READING_NEEDED, raised) is not None


def test_hz_crs_03_a_missed_check_after_cell_therapy_is_itself_a_signal() -> None:
    raised = flags(care=INFUSED)
    flag = known(found(FlagKind.CHECK_MISSED, raised))
    assert "No temperature since 12:00 on 2026-03-07" in flag.reason
    assert found(FlagKind.CHECK_MISSED, flags(oral(36.8), care=INFUSED)) is None
    assert found(FlagKind.CHECK_MISSED, flags(oral(36.8, site=Site.SKIN), care=INFUSED)) is not None


def test_nothing_of_it_before_the_infusion() -> None:
    care = replace(ADULT, cell_therapy=(NOW + timedelta(days=1),))
    assert found(CRS, flags(oral(39.0), care=care)) is None


# ---- opioids -------------------------------------------------------------------------------------------


def test_hz_opioid_01_an_unknown_medicine_list_raises_and_says_so_a_complete_one_without_opioid_does_not() -> None:
    slow = reading(codes.RESPIRATORY_RATE, 7.0)
    unknown = known(found(FlagKind.OPIOID_DEPRESSION, flags(slow)))
    assert unknown.urgency is Urgency.NOW
    assert "Whether a strong pain medicine (opioid) is taken is not recorded." in unknown.reason
    assert "PRODIGY risk score at least 8 points; not known: male" in unknown.clinician
    assert found(FlagKind.OPIOID_DEPRESSION, flags(slow, care=replace(ADULT, medicines_complete=True))) is None
    taken = known(
        found(FlagKind.OPIOID_DEPRESSION, flags(slow, care=replace(ADULT, medicines=(taking(MedicineKind.OPIOID),))))
    )
    assert "A strong pain medicine (opioid) is being taken." in taken.reason


def test_hz_opioid_02_no_text_proposes_a_dose() -> None:
    for id_, template in reference().templates.items():
        if id_.startswith(("opioid", "glucose", "qtc", "cell_therapy", "dehydration", "news2", "sepsis", "laboratory")):
            assert not re.search(
                r"\b(stop|start|reduce|increase|skip|lower) (taking|the dose|your dose|the medicine)", template
            ), id_


def test_a_dip_of_a_finger_clip_among_good_seconds_is_no_depression() -> None:
    seconds = [reading(codes.OXYGEN_SATURATION, 70.0 if k == 30 else 97.0, 2.0 - k / 60) for k in range(60)]
    assert found(FlagKind.OPIOID_DEPRESSION, flags(*seconds)) is None


# ---- daily care ----------------------------------------------------------------------------------------


def test_hz_dehydration_01_unknown_usual_stools_are_not_assumed() -> None:
    stools = reading(codes.DIARY_STOOLS, 5.0, 60.0, origin=Origin.PATIENT_REPORTED)
    flag = known(found(FlagKind.DEHYDRATION, flags(stools)))
    assert flag.urgency is Urgency.TODAY
    assert flag.origin is Origin.PATIENT_REPORTED
    assert "usual number not known" in flag.reason
    assert [m.id for m in flag.says.data_quality] == ["dehydration.usual_unknown"]


def test_one_weighing_with_shoes_on_is_no_loss() -> None:
    weights = [reading(codes.BODY_WEIGHT, 60.0, 1440.0 * day) for day in (150, 140, 130, 4, 3, 1)]
    heavy = reading(codes.BODY_WEIGHT, 66.0, 1440.0 * 100)
    assert found(FlagKind.WEIGHT_LOSS, flags(*weights, heavy)) is None


def test_hz_weight_01_without_a_height_the_other_threshold_holds_and_this_is_said() -> None:
    weights = [
        reading(codes.BODY_WEIGHT, w, 1440.0 * d)
        for w, d in ((60, 150), (60, 149), (60, 148), (56, 3), (56, 2), (56, 1))
    ]
    flag = known(found(FlagKind.WEIGHT_LOSS, flags(*weights)))
    assert "The body mass index is not known" in flag.says.data_quality[0].text


@pytest.mark.parametrize(("care", "raised"), [(CareContext(), True), (CareContext(medicines_complete=True), False)])
def test_hz_glucose_01_an_unknown_steroid_counts_as_one(care: CareContext, raised: bool) -> None:  # noqa: FBT001
    flag = found(FlagKind.GLUCOSE_HIGH, flags(reading(codes.GLUCOSE_CAPILLARY, 260.0), care=care))
    assert (flag is not None) is raised


def test_a_sensor_in_mmol_uses_its_own_thresholds() -> None:
    low = [reading(codes.GLUCOSE_INTERSTITIAL_MOLAR, 2.9, k) for k in (1.0, 6.0, 11.0, 16.0)]
    assert known(found(FlagKind.GLUCOSE_LOW, flags(*low))).urgency is Urgency.NOW


def test_qtc_of_an_unknown_correction_says_so() -> None:
    flag = known(found(FlagKind.QTC_PROLONGED, flags(reading(codes.QTC_INTERVAL, 510.0))))
    assert [m.id for m in flag.says.data_quality] == ["qtc.correction_unknown"]
    assert "The value before treatment is not known." in flag.clinician


@pytest.mark.parametrize(
    ("qt", "rr", "expected"), [(400.0, 1000.0, 400.0), (360.0, 729.0, 400.0), (400.0, 512.0, 500.0)]
)
def test_fridericia(qt: float, rr: float, expected: float) -> None:
    """Fridericia 1920: QT over the cube root of RR in seconds; 0.729 and 0.512 have the roots 0.9 and 0.8."""
    assert fridericia(qt, rr) == pytest.approx(expected)


# ---- bad data: from bytes to flags ---------------------------------------------------------------------

CONTEXT = DecodeContext("device", patient_zone=ZoneInfo("UTC"))


def received(characteristic: str, payloads: Iterable[bytes]) -> tuple[Observation, ...]:
    """What the payloads say, one a second until now."""
    sent = list(payloads)
    items = [
        item
        for k, payload in enumerate(sent)
        for item in decode(characteristic, payload, NOW - timedelta(seconds=len(sent) - k), context=CONTEXT)
    ]
    return tuple(item for item in items if isinstance(item, Observation))


@pytest.mark.parametrize(
    ("status", "said"), [(0b01, "taken while moving"), (0b10, "with a loose cuff"), (0b11, "taken while moving")]
)
@pytest.mark.parametrize(("systolic", "diastolic"), [(70, 40), (250, 140)])
def test_hz_bytes_01_pressure_with_movement_or_a_loose_cuff_raises_no_alert(
    status: int, said: str, systolic: int, diastolic: int
) -> None:
    payload = encode_blood_pressure(CuffReading(Decimal(systolic), Decimal(diastolic)), status=status)
    raised = flags(*received("2a35", [payload]), care=INFUSED, doses=(DOSE,))
    told = known(found(f"{BAD}/systolic_pressure", raised))
    assert said in told.reason
    assert told.urgency is Urgency.NOTE
    assert {flag.kind for flag in raised} == {BAD, FlagKind.CHECK_MISSED}


def test_the_same_pressure_without_movement_does_raise() -> None:
    """The bar of the test above: a good cuff at 70 mmHg is an emergency after cell therapy, and 3 points."""
    payload = encode_blood_pressure(CuffReading(Decimal(70), Decimal(40)), status=0)
    raised = flags(*received("2a35", [payload]), care=INFUSED, doses=(DOSE,))
    assert {CRS, FlagKind.EARLY_WARNING_SCORE} <= {flag.kind for flag in raised}


@pytest.mark.parametrize(
    ("bpm", "contact", "said"),
    [
        (32, False, "no contact with the skin"),
        (0, True, "found no beat"),
        (0, None, "found no beat"),
        (0, False, "no contact"),
    ],
)
def test_hz_bytes_02_heart_rate_zero_and_lost_contact_raise_a_data_quality_flag(
    bpm: int,
    contact: bool | None,  # noqa: FBT001 - parametrised
    said: str,
) -> None:
    raised = flags(*received("2a37", [encode_heart_rate(bpm, [1900], contact=contact)] * 60))
    assert [flag.key for flag in raised] == ["data_quality/heart_rate"]
    assert said in raised[0].reason
    assert raised[0].urgency is Urgency.NOTE


def test_contact_that_came_back_ends_it() -> None:
    lost = [encode_heart_rate(32, [1900], contact=False)] * 60
    back = [encode_heart_rate(72, [850], contact=True)] * 10
    assert [flag for flag in flags(*received("2a37", [*lost, *back])) if flag.kind is BAD] == []


def test_a_spot_check_of_the_oximeter_reaches_the_score_and_an_invalid_one_does_not() -> None:
    good = encode_spot_check(Oximetry(Decimal(90), Decimal(135)))
    bad = encode_spot_check(Oximetry(Decimal(90), Decimal(135)), measurement_status=1 << 15)
    assert found(FlagKind.EARLY_WARNING_SCORE, flags(*received("2a5e", [good]))) is not None
    raised = flags(*received("2a5e", [bad]))
    assert {flag.key for flag in raised} == {"data_quality/oxygen_saturation", "data_quality/pulse_rate"}


# ---- bad data: streams ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (codes.BODY_TEMPERATURE, 98.6),
        (codes.OXYGEN_SATURATION, 250.0),
        (codes.BODY_WEIGHT, 900.0),
        (codes.NEUTROPHILS, 5300.0),
    ],
)
def test_hz_quality_01_an_absurd_value_is_held_told_and_raises_nothing_else(code: codes.Code, value: float) -> None:
    raised = flags(reading(code, value), doses=(DOSE,), care=replace(ADULT, medicines_complete=True))
    assert [flag.key for flag in raised] == [f"data_quality/{code.name}"]
    assert "held and not used" in raised[0].reason


@pytest.mark.parametrize("reason", sorted(FEATURE_REASONS))
def test_hz_quality_02_a_fault_that_a_day_shows_is_told(reason: str) -> None:
    day = Feature("steps_day", None, "{steps}", NOW - timedelta(hours=12), NOW + timedelta(hours=12), 0, 0.0, reason)
    other = replace(day, name="weight_day")
    flag = known(found(f"data_quality/day_{reason}", flags(oral(36.5), features=(day, other))))
    assert "(steps day, weight day)" in flag.reason
    assert "nothing of them was used" in flag.reason


def test_a_day_that_is_only_short_of_data_is_no_fault_of_the_sensor() -> None:
    day = Feature("steps_day", None, "{steps}", NOW - timedelta(hours=12), NOW, 0, 0.0, "too_few_readings")
    assert flags(oral(36.5), features=(day,)) == ()


def test_a_clock_that_jumped_ahead_is_told() -> None:
    flag = known(found("data_quality/clock", flags(reading(codes.HEART_RATE, 70.0, -6000.0))))
    assert "1 readings carry a time in the future" in flag.reason


def test_a_device_whose_clock_is_not_set_is_told() -> None:
    unset = reading(codes.OXYGEN_SATURATION, 97.0, attributes={"time_reason": "device_clock_not_set"})
    flag = known(found("data_quality/clock", flags(unset)))
    assert "not set or not believed" in flag.reason


def test_pounds_read_as_kilograms_are_no_loss_and_no_dehydration() -> None:
    pounds = [reading(codes.BODY_WEIGHT, 154.0, 1440.0 * day) for day in (1.9, 1.8, 1.7)]
    kilograms = [reading(codes.BODY_WEIGHT, 70.0, minutes) for minutes in (60.0, 30.0, 10.0)]
    raised = flags(*pounds, *kilograms, reading(codes.SYSTOLIC_PRESSURE, 101.0), reading(codes.DIARY_STOOLS, 0.0))
    (flag,) = raised
    assert flag.key in {"data_quality/body_weight_unit", "data_quality/day_unit_change_suspected"}
    assert "the unit may have changed" in flag.reason
    assert "weight" in flag.reason.lower()


def test_a_stream_that_is_told_is_not_told_again_by_its_day() -> None:
    day = Feature("weight_day", None, "kg", NOW - timedelta(hours=12), NOW, 0, 0.0, "unit_change_suspected")
    raised = flags(reading(codes.BODY_WEIGHT, 900.0), features=(day,))
    assert [flag.key for flag in raised] == ["data_quality/body_weight"]


def test_a_reading_that_its_device_doubts_is_used_and_this_is_said() -> None:
    weak = reading(codes.PULSE_RATE, 135.0, quality=Quality.QUESTIONABLE)
    flag = known(found(FlagKind.EARLY_WARNING_SCORE, flags(weak)))
    assert "Readings that their device itself doubts: 1." in [m.text for m in flag.says.data_quality]


def test_the_report_has_a_label_for_every_kind_of_flag() -> None:
    assert set(pictures._KIND_LABELS) == set(FlagKind)


def test_only_laboratory_sentences_speak_of_a_grade() -> None:
    mine = ("phrases", "news2", "sepsis", "opioid", "cell_therapy", "dehydration", "weight", "glucose", "qtc",
            "data_quality", "definitions", "fever")  # fmt: skip
    templates = reference().templates.items()
    assert [id_ for id_, text in templates if id_.startswith(mine) and re.search(r"\bgrade", text.lower())] == []


def test_without_anything_on_record_nothing_is_missed() -> None:
    assert flags() == ()


READINGS = st.builds(
    observe,
    st.sampled_from(
        [*STREAMS, codes.DIARY_STOOLS, codes.GLUCOSE_CAPILLARY_MOLAR, codes.QTC_INTERVAL, codes.PLATELETS,
         codes.CREATININE, codes.OXYGEN_FLOW, codes.CONSCIOUSNESS, codes.BODY_HEIGHT, codes.STEPS]
    ),
    st.floats(-1e4, 1e4) | st.sampled_from([0.0, 1.0, 1e308, 4.0]),
    st.integers(-90, 60 * 24 * 200).map(lambda minutes: NOW - timedelta(minutes=minutes)),
    source=st.sampled_from(["a", "b"]),
    quality=st.sampled_from(list(Quality)),
    attributes=st.sampled_from([{}, {"site": "oral"}, {"contact": "no"}, {"measurement_status": "movement"}]),
)  # fmt: skip
CARES = st.builds(
    CareContext,
    ctcae_version=st.sampled_from(list(CtcaeVersion)),
    cell_therapy=st.sampled_from([(), (NOW - timedelta(days=2),)]),
    medicines_complete=st.booleans(),
    age_years=st.none() | st.floats(0.0, 120.0),
    pregnant=st.none() | st.booleans(),
    usual_stools_per_day=st.none() | st.floats(0.0, 10.0),
)


@given(st.lists(READINGS, max_size=25), CARES)
def test_hz_quality_03_bad_data_never_raises_and_every_flag_has_a_sentence(
    readings: list[Observation], care: CareContext
) -> None:
    raised = flags(*readings, care=care, doses=(DOSE,))
    assert len({flag.key for flag in raised}) == len(raised)
    for flag in raised:
        form = json.loads(canonical(flag))
        assert flag.action
        assert flag.reason
        assert form["kind"] == flag.kind
        assert not re.search(r"\{|\w+\.\w+ \(", flag.action + flag.reason + flag.clinician), "a template was not found"


def test_readings_of_the_background_reach_the_rules_and_no_feature() -> None:
    old = lab(codes.PLATELETS, 9.0)
    given_ = TwinInput(NOW, "UTC", neutropenia(), None, background=(old,), care=ADULT)
    output = advance(given_)
    assert [flag.key for flag in output.flags] == ["laboratory_value/platelets"]
    assert output.features == ()


def test_a_program_without_the_packs_keeps_its_own_rules_alone() -> None:
    packs = ("fever", "forecast", "resting_heart_rate")
    bare = replace(neutropenia(), thresholds={name: neutropenia().thresholds[name] for name in packs})
    raised = flags(oral(38.5), lab(codes.PLATELETS, 5.0), reading(codes.PULSE_RATE, 140.0), doses=(DOSE,), program=bare)
    assert [flag.kind for flag in raised] == [FlagKind.FEVER]
