"""Boundary rows of the packs ``biomarkers`` and ``lung_follow_up``: each threshold at, just below and just above."""

from __future__ import annotations

import math
from collections.abc import Callable

from edge_twin import codes
from edge_twin.flag import Flag, Urgency
from edge_twin.observation import Observation, Origin
from tests.rule_bench import reading
from tests.rule_row import NONE, WEEK, Given, Row

DAY = 24.0 * 60.0  # minutes
NOTE = Urgency.NOTE
PSA, CA_125 = codes.PROSTATE_SPECIFIC_ANTIGEN, codes.CANCER_ANTIGEN_125
CEA, CTDNA = codes.CARCINOEMBRYONIC_ANTIGEN, codes.CTDNA_FRACTION
SUM, PRODUCT = codes.IMAGING_DIAMETER_SUM, codes.IMAGING_LESION_PRODUCT
Pairs = list[tuple[float, float]]


def values(code: codes.Code, pairs: Pairs) -> Given:
    """Values with their age in days."""
    return {"readings": tuple(reading(code, value, 1.0 + age * DAY, origin=Origin.LAB) for age, value in pairs)}


def of(code: codes.Code, make: Callable[[float], Pairs]) -> Callable[[float], Given]:
    return lambda probe: values(code, make(probe))


def rise(code: codes.Code) -> str:
    return f"biomarker_rise/{code.name}"


def grown(code: codes.Code) -> str:
    return f"imaging_progression/{code.name}"


def says(part: str) -> Callable[[Flag], object]:
    """Whether some sentence of the flag holds the part."""
    return lambda flag: part in " ".join(m.text for m in (*flag.says.clinician, *flag.says.data_quality))


def doubles(value: float) -> float:
    return 4.0 * math.exp2(value)


def item(name: str, value: float, age_days: float) -> Observation:
    code = codes.by_name(f"diary_lung_{name}")
    assert code is not None
    return reading(code, value, 1.0 + age_days * DAY, origin=Origin.PATIENT_REPORTED)


def form(name: str, *scores: float) -> Given:
    """Weekly scores, the newest last."""
    newest = len(scores) - 1
    return {"readings": tuple(item(name, score, 7.0 * (newest - n)) for n, score in enumerate(scores))}


def weights(*pairs: tuple[float, float]) -> Given:
    return values(codes.BODY_WEIGHT, list(pairs))


def steady(age: float, *more: float) -> Pairs:
    """PSA that doubles every 60 days, at these ages in days."""
    return [(a, doubles((400.0 - a) / 60.0)) for a in (age, *more)]


VALUES_2, HIGH = says("2 usable values"), says("high risk")

MARKERS = [
    Row("ca_125", "times_upper_limit", rise(CA_125), of(CA_125, lambda v: [(90, 20), (0, v)]),
        [(69.9, NONE), (70, NOTE), (70.1, NOTE)]),
    Row("ca_125", "upper_limit_if_unknown", rise(CA_125), of(CA_125, lambda v: [(90, 35), (0, v)]),
        [(69.9, NONE), (70, NOTE), (70.1, NOTE)]),
    Row("ca_125", "times_nadir", rise(CA_125), of(CA_125, lambda v: [(90, 50), (0, v)]),
        [(99.9, NONE), (100, NOTE), (100.1, NOTE)]),
    Row("ca_125", "confirm_days", rise(CA_125), of(CA_125, lambda v: [(90, 20), (v, 80), (0, 80)]),
        [(6.9, NOTE), (7, WEEK), (7.1, WEEK)]),
    Row("ca_125", "old_days", rise(CA_125), of(CA_125, lambda v: [(v + 90, 20), (v, 80)]),
        [(119.9, False), (120.1, True)], says("days old")),
    Row("psa_phoenix", "above_nadir", rise(PSA), of(PSA, lambda v: [(90, 20), (0, v)]),
        [(21.9, NONE), (22, NOTE), (22.1, NOTE)]),
    Row("psa_phoenix", "confirm_days", rise(PSA), of(PSA, lambda v: [(90, 20), (v, 23), (0, 23)]),
        [(6.9, NOTE), (7, WEEK), (7.1, WEEK)]),
    Row("psa_phoenix", "old_days", rise(PSA), of(PSA, lambda v: [(v + 90, 20), (v, 23)]),
        [(199.9, False), (200.1, True)], says("days old")),
    Row("psa_pcwg3", "above_nadir", rise(PSA), of(PSA, lambda v: [(90, 0.5), (0, v)]),
        [(2.4, None), (2.5, True), (2.6, True)], says("PCWG3")),
    Row("psa_pcwg3", "share_above_nadir", rise(PSA), of(PSA, lambda v: [(90, 20), (0, v)]),
        [(24.9, False), (25, True), (25.1, True)], says("PCWG3")),
    Row("psa_pcwg3", "confirm_days", rise(PSA), of(PSA, lambda v: [(90, 20), (v, 26), (0, 26)]),
        [(20.9, False), (21, True), (21.1, True)],
        lambda flag: any("PCWG3" in m.text and "), confirmed at" in m.text for m in flag.says.clinician)),
    Row("psa_pcwg3", "old_days", rise(PSA), of(PSA, lambda v: [(v + 90, 1), (v, 23)]),
        [(199.9, False), (200.1, True)], says("days old")),
    Row("psa_doubling", "values_needed", rise(PSA), of(PSA, lambda v: steady(*(180.0, 120.0, 60.0, 0.0)[: int(v)])),
        [(2, True), (3, False), (4, False)], says("values since the lowest one, ")),
    Row("psa_doubling", "span_days", rise(PSA), of(PSA, lambda v: steady(v, v / 2, 0.0)),
        [(89.9, True), (90, False), (90.1, False)], says("the values span")),
    Row("psa_doubling", "apart_days", rise(PSA), of(PSA, lambda v: steady(100.0, v, 0.0)),
        [(27.9, True), (28, False), (28.1, False)], VALUES_2),
    Row("psa_doubling", "window_days", rise(PSA), of(PSA, lambda v: steady(v, 100.0, 0.0)),
        [(364.9, False), (365, False), (365.1, True)], VALUES_2),
    Row("psa_doubling", "smallest_value", rise(PSA), of(PSA, lambda v: [(120, v), (60, 2), (0, 8)]),
        [(0.19, True), (0.2, False), (0.21, False)], VALUES_2),
    Row("psa_doubling", "high_risk_months", rise(PSA),
        of(PSA, lambda v: [(a, doubles((400.0 - a) / (v * 365.25 / 12))) for a in (300.0, 150.0, 0.0)]),
        [(9.9, True), (9.999, True), (10.1, False)], HIGH),
    Row("cea", "upper_limit_if_unknown", rise(CEA), of(CEA, lambda v: [(90, 3), (0, v)]),
        [(4.9, NONE), (5, NOTE), (5.1, NOTE)]),
    Row("cea", "share_above_nadir", rise(CEA), of(CEA, lambda v: [(90, 10), (0, v)]),
        [(12.9, NONE), (13, NOTE), (13.1, NOTE)]),
    Row("cea", "confirm_days", rise(CEA), of(CEA, lambda v: [(90, 10), (v, 14), (0, 14)]),
        [(6.9, NOTE), (7, WEEK), (7.1, WEEK)]),
    Row("cea", "old_days", rise(CEA), of(CEA, lambda v: [(v + 90, 10), (v, 14)]),
        [(199.9, False), (200.1, True)], says("days old")),
    Row("ctdna", "times_nadir", rise(CTDNA), of(CTDNA, lambda v: [(90, 0.01), (0, v)]),
        [(0.0199, NONE), (0.02, NOTE), (0.0201, NOTE)]),
    Row("ctdna", "smallest_fraction", rise(CTDNA), of(CTDNA, lambda v: [(90, 0.0), (0, v)]),
        [(0.00049, NONE), (0.0005, NOTE), (0.00051, NOTE)]),
    Row("ctdna", "confirm_days", rise(CTDNA), of(CTDNA, lambda v: [(90, 0.01), (v, 0.02), (0, 0.02)]),
        [(13.9, NOTE), (14, WEEK), (14.1, WEEK)]),
    Row("ctdna", "old_days", rise(CTDNA), of(CTDNA, lambda v: [(v + 90, 0.01), (v, 0.02)]),
        [(119.9, False), (120.1, True)], says("days old")),
    Row("marker_doubling", "values_needed", "data_quality/carcinoembryonic_antigen_assay",
        lambda v: {"readings": (
            reading(CEA, 2.0, 400 * DAY, source="lab:a", origin=Origin.LAB),
            *(reading(CEA, 2.0, (1 + 30 * n) * DAY, source="lab:b", origin=Origin.LAB) for n in range(int(v))),
        )},
        [(2, NOTE), (3, NONE), (4, NONE)]),
    Row("marker_doubling", "span_days", rise(CEA), of(CEA, lambda v: [(v, 10), (v / 2, 12), (0, 20)]),
        [(27.9, True), (28, False), (28.1, False)], says("the values span")),
    Row("marker_doubling", "apart_days", rise(CEA), of(CEA, lambda v: [(60, 10), (v, 12), (0, 20)]),
        [(6.9, True), (7, False), (7.1, False)], VALUES_2),
    Row("marker_doubling", "window_days", rise(CEA), of(CEA, lambda v: [(v, 10), (100, 12), (0, 20)]),
        [(364.9, False), (365, False), (365.1, True)], VALUES_2),
    Row("recist", "share_above_nadir", grown(SUM), of(SUM, lambda v: [(90, 50), (0, v)]),
        [(59.9, NONE), (60, WEEK), (60.1, WEEK)]),
    Row("recist", "above_nadir_mm", grown(SUM), of(SUM, lambda v: [(90, 10), (0, v)]),
        [(14.9, NONE), (15, WEEK), (15.1, WEEK)]),
    Row("recist", "confirm_days", grown(SUM), of(SUM, lambda v: [(90, 50), (v, 70), (0, 70)]),
        [(27.9, False), (28, True), (28.1, True)], says("Still at or above")),
    Row("recist", "old_days", grown(SUM), of(SUM, lambda v: [(v + 90, 50), (v, 70)]),
        [(199.9, False), (200.1, True)], says("days old")),
    Row("rano", "share_above_nadir", grown(PRODUCT), of(PRODUCT, lambda v: [(90, 400), (0, v)]),
        [(499.9, NONE), (500, WEEK), (500.1, WEEK)]),
    Row("rano", "confirm_days", grown(PRODUCT), of(PRODUCT, lambda v: [(90, 400), (v, 600), (0, 600)]),
        [(27.9, False), (28, True), (28.1, True)], says("Still at or above")),
    Row("rano", "old_days", grown(PRODUCT), of(PRODUCT, lambda v: [(v + 90, 400), (v, 600)]),
        [(199.9, False), (200.1, True)], says("days old")),
]  # fmt: skip

RELAPSE, MISSING = "symptom_based_relapse_rule/lung", "data_quality/lung_form_missing"
LUNG = [
    Row("lung_relapse", "rise_score", RELAPSE, lambda v: form("cough", 0, 0, v), [(1, NONE), (2, WEEK), (3, WEEK)]),
    Row("lung_relapse", "first_score", RELAPSE, lambda v: form("cough", v), [(2, NONE), (3, WEEK)]),
    Row("lung_relapse", "sign_score", RELAPSE, lambda v: form("lump", 0, v), [(0, NONE), (1, WEEK)]),
    Row("lung_relapse", "weight_loss_kg", RELAPSE, lambda v: weights((30, 70), (0, 70 - v)),
        [(2.9, NONE), (3, WEEK), (3.1, WEEK)]),
    Row("lung_relapse", "reference_days", RELAPSE, lambda v: {"readings": (item("cough", 0, v), item("cough", 2, 0))},
        [(55.9, WEEK), (56, WEEK), (56.1, NONE)]),
    Row("lung_relapse", "weight_fresh_days", RELAPSE, lambda v: weights((40, 70), (v, 60)),
        [(13.9, WEEK), (14.1, NONE)]),
    Row("lung_relapse", "fresh_days", RELAPSE, lambda v: {"readings": (item("cough", 3, v),)},
        [(8.9, WEEK), (9.1, NONE)]),
    Row("lung_relapse", "overdue_days", MISSING, lambda v: {"readings": (item("cough", 0, v),)},
        [(8.9, NONE), (9.1, WEEK)]),
]  # fmt: skip
