"""Named definitions of fever with neutropenia (docs/clinical-rules.md): comparators, counts, and moved thresholds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_twin import codes
from edge_twin.care import CareContext, MedicineKind
from edge_twin.flag import CtcaeVersion, FlagKind
from edge_twin.flags.fever_definitions import Counts, count_met, definitions_met, temperature_met
from tests.rule_bench import ADULT, DOSE, flags, found, lab, moved, neutropenia, oral, taking

TABLES = {"IDSA": "fever_idsa_2010", "ASCO": "fever_asco", "CTCAE v5": "fever_ctcae_5_0", "CISNE": "fever_cisne"}
T, F, U = True, False, None

# Readings as (°C, minute); then IDSA, ASCO, CTCAE v5, CISNE.
TEMPERATURES = [
    (((38.3, 0),), (T, T, F, F)),
    (((38.31, 0),), (T, T, T, F)),
    (((38.29, 0),), (F, F, F, F)),
    (((38.0, 0), (38.0, 59)), (F, F, F, F)),
    (((38.0, 0), (38.0, 60)), (T, T, F, T)),
    (((38.0, 0), (38.0, 61)), (T, T, T, T)),
    (((37.99, 0), (37.99, 61)), (F, F, F, F)),
    (((38.0, 0), (37.9, 30), (38.1, 60)), (F, F, F, F)),
]
# Measured count and lowest expected; then IDSA, ASCO, CTCAE v5, CISNE.
COUNTS = [
    (0.49, U, (T, T, T, T)),
    (0.5, U, (U, T, T, T)),
    (0.5, 0.6, (F, T, T, T)),
    (0.51, 0.5, (F, T, T, T)),
    (0.51, 0.51, (F, T, T, F)),
    (0.51, 0.49, (T, T, T, T)),
    (1.0, 0.5, (F, F, F, T)),
    (1.01, 0.5, (F, F, F, F)),
    (1.01, 0.49, (T, F, F, F)),
    (0.99, 3.0, (F, T, T, F)),
    (U, 0.49, (T, U, U, T)),
    (U, U, (U, U, U, U)),
]


@pytest.mark.parametrize(("readings", "expected"), TEMPERATURES)
def test_temperature_by_definition(readings: tuple[tuple[float, float], ...], expected: tuple[bool, ...]) -> None:
    taken = [oral(celsius, 200.0 - minute) for celsius, minute in readings]
    rules = [neutropenia().thresholds[table] for table in TABLES.values()]
    assert tuple(temperature_met(each, taken) for each in rules) == expected


@pytest.mark.parametrize(("measured", "expected_lowest", "wanted"), COUNTS)
def test_count_by_definition(
    measured: float | None, expected_lowest: float | None, wanted: tuple[bool | None, ...]
) -> None:
    rules = [neutropenia().thresholds[table] for table in TABLES.values()]
    assert tuple(count_met(each, Counts(measured, expected_lowest)) for each in rules) == wanted


@pytest.mark.parametrize(
    ("column", "table", "name"),
    [
        (column, table, name)
        for column, table in enumerate(TABLES.values())
        for name in neutropenia().thresholds[table]
        if name != "expected_hours"
    ],
)
def test_every_threshold_of_a_definition_is_noticed_when_it_moves(column: int, table: str, name: str) -> None:
    value = neutropenia().threshold(table, name)
    small = 0.02 if name.endswith("cel") or "10_9" in name else 1.5
    for change in (-small, small):
        rules = moved(table, name, value + change).thresholds[table]
        temperatures = [
            temperature_met(rules, [oral(c, 200.0 - m) for c, m in readings]) is wanted[column]
            for readings, wanted in TEMPERATURES
        ]
        counts = [count_met(rules, Counts(m, e)) is wanted[column] for m, e, wanted in COUNTS]
        assert not all((*temperatures, *counts)), (table, name, change)


def test_only_a_definition_of_the_sites_version_is_named() -> None:
    tables, oral_fever = neutropenia().thresholds, [oral(38.5)]
    v5, v6 = (definitions_met(tables, oral_fever, Counts(0.3, None), v) for v in CtcaeVersion)
    assert "CTCAE v5" in [met.name for met in v5]
    assert not [met.name for met in v6 if "CTCAE" in met.name]


def test_hz_fever_05_the_clinicians_sentence_names_the_definitions() -> None:
    raised = flags(oral(38.3), lab(codes.NEUTROPHILS, 0.3), doses=(DOSE,))
    flag = found(FlagKind.FEVER, raised)
    assert flag is not None
    assert "IDSA 2010: temperature and neutrophil count met." in flag.clinician
    assert "CTCAE v5: temperature not met." in flag.clinician
    assert "IDSA 2010: temperature" not in flag.reason


def test_the_other_version_of_ctcae_says_that_its_definition_is_not_on_file() -> None:
    care = replace(ADULT, ctcae_version=CtcaeVersion.V6)
    flag = found(FlagKind.FEVER, flags(oral(38.3), doses=(DOSE,), care=care))
    assert flag is not None
    assert "CTCAE 6.0: its definition is not on file." in flag.clinician
    assert "CTCAE v5" not in flag.clinician


@pytest.mark.parametrize(
    ("care", "said"),
    [
        (CareContext(), "Not recorded whether any of these is taken: medicine against fever, steroid"),
        (
            CareContext(medicines_complete=True),
            "By the clinic's list none of these is taken: medicine against fever, steroid",
        ),
        (CareContext(medicines=(taking(MedicineKind.STEROID),)), "Taken: a steroid (steroid, since"),
    ],
)
def test_hz_fever_06_medicines_that_hide_a_fever_are_named(care: CareContext, said: str) -> None:
    flag = found(FlagKind.FEVER, flags(oral(38.3), doses=(DOSE,), care=care))
    assert flag is not None
    assert said in flag.reason
