"""CTCAE laboratory rows, versions 5.0 and 6.0 (pharmaverse/admiral ncictcaev5/6.json): every boundary."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.ctcae import criteria, grade_range, load_criteria
from edge_twin.errors import CriteriaError, FlagError
from edge_twin.flag import CtcaeTerm, CtcaeVersion, Flag, FlagKind, Sentences, Urgency
from edge_twin.observation import Origin
from edge_twin.wording import say
from tests.rule_bench import NOW

V5, V6 = CtcaeVersion.V5, CtcaeVersion.V6
ANC = "Neutrophil count decreased"
WBC = "White blood cell decreased"
LYMPHOCYTES = "Lymphocyte count decreased"


@pytest.mark.parametrize(
    ("value", "grade"), [(2.0, 0), (1.99, 1), (1.5, 1), (1.49, 2), (1.0, 2), (0.99, 3), (0.5, 3), (0.49, 4), (0.0, 4)]
)
def test_neutrophils_v5_with_a_lower_limit_of_2(value: float, grade: int) -> None:
    assert grade_range(ANC, value, V5, low_limit=2.0).grade == grade


@pytest.mark.parametrize(("value", "grade"), [(1.8, None), (1.5, None), (1.4, 2), (0.49, 4)])
def test_neutrophils_v5_without_a_limit_are_not_gradable_and_not_zero(value: float, grade: int | None) -> None:
    assert grade_range(ANC, value, V5).grade == grade


@pytest.mark.parametrize(
    ("value", "grade"), [(1.5, 0), (1.49, 1), (1.0, 1), (0.99, 2), (0.5, 2), (0.49, 3), (0.1, 3), (0.09, 4)]
)
def test_neutrophils_v6_need_no_limit(value: float, grade: int) -> None:
    assert grade_range(ANC, value, V6).grade == grade


@pytest.mark.parametrize("version", [V5, V6])
@pytest.mark.parametrize(
    ("value", "grade"), [(4.0, 0), (3.99, 1), (3.0, 1), (2.99, 2), (2.0, 2), (1.99, 3), (1.0, 3), (0.99, 4)]
)
def test_leukocytes(version: CtcaeVersion, value: float, grade: int) -> None:
    assert grade_range(WBC, value, version, low_limit=4.0).grade == grade


@pytest.mark.parametrize(
    ("value", "v5", "v6"),
    [
        (150.0, 0, 0),
        (149.0, 1, 1),
        (75.0, 1, 1),
        (74.9, 2, 2),
        (50.0, 2, 2),
        (49.9, 3, 3),
        (25.0, 3, 3),
        (24.9, 4, 3),
        (15.0, 4, 3),
        (10.0, 4, 3),
        (9.9, 4, 4),
    ],
)
def test_platelets_in_both_versions(value: float, v5: int, v6: int) -> None:
    assert grade_range("Platelet count decreased", value, V5, low_limit=150.0).grade == v5
    assert grade_range("Thrombocytopenia", value, V6, low_limit=150.0).grade == v6


@pytest.mark.parametrize(
    ("value", "grade"), [(1.0, 0), (0.99, 1), (0.8, 1), (0.79, 2), (0.5, 2), (0.49, 3), (0.2, 3), (0.19, 4)]
)
def test_lymphocytes_v5(value: float, grade: int) -> None:
    assert grade_range(LYMPHOCYTES, value, V5, low_limit=1.0).grade == grade


@pytest.mark.parametrize("version", [V5, V6])
@pytest.mark.parametrize(("value", "grade"), [(12.0, 0), (11.9, 1), (10.0, 1), (9.9, 2), (8.0, 2), (7.9, 3), (3.0, 3)])
def test_haemoglobin_has_no_numeric_grade_4(version: CtcaeVersion, value: float, grade: int) -> None:
    assert grade_range("Anemia", value, version, low_limit=12.0).grade == grade


@pytest.mark.parametrize(
    ("value", "grade"), [(1.0, 0), (1.01, 1), (1.5, 1), (1.51, 2), (3.0, 2), (3.01, 3), (6.0, 3), (6.01, 4)]
)
@pytest.mark.parametrize("version", [V5, V6])
def test_creatinine_in_multiples_of_the_upper_limit(version: CtcaeVersion, value: float, grade: int) -> None:
    found = grade_range("Creatinine increased", value, version, high_limit=1.0, baseline=1.0, low_limit=0.6)
    assert found.grade == grade


@pytest.mark.parametrize("version", [V5, V6])
@pytest.mark.parametrize(("value", "grade"), [(0.75, 0), (0.76, 2), (1.5, 2), (1.51, 3)])
def test_creatinine_against_a_baseline_below_the_lower_limit(version: CtcaeVersion, value: float, grade: int) -> None:
    """v5 counts baseline or limit; v6 the baseline in place of the limit where it was below the lower one."""
    found = grade_range("Creatinine increased", value, version, high_limit=1.0, baseline=0.5, low_limit=0.6)
    assert found.grade == grade


def test_creatinine_v6_leaves_a_usual_baseline_out() -> None:
    """Baseline 0.7 inside the range: 1.2 is 1.7 times the baseline, but only 1.2 times the limit."""
    reference = {"high_limit": 1.0, "baseline": 0.7, "low_limit": 0.6}
    assert grade_range("Creatinine increased", 1.2, V5, **reference).grade == 2
    assert grade_range("Creatinine increased", 1.2, V6, **reference).grade == 1


def test_what_cannot_be_ruled_out_is_said() -> None:
    by_baseline = grade_range("Creatinine increased", 2.0, V5, baseline=1.0)
    assert (by_baseline.grade, by_baseline.at_least) == (2, True)
    assert grade_range("Creatinine increased", 0.9, V5).grade is None


def test_the_same_count_has_another_range_in_the_other_version() -> None:
    assert (grade_range(ANC, 0.3, V5).grade, grade_range(ANC, 0.3, V6).grade) == (4, 3)


@pytest.mark.parametrize(
    ("term", "version"), [(LYMPHOCYTES, V6), ("Platelet count decreased", V6), ("Thrombocytopenia", V5)]
)
def test_a_term_of_the_other_version_is_refused(term: str, version: CtcaeVersion) -> None:
    with pytest.raises(CriteriaError) as caught:
        grade_range(term, 0.3, version)
    assert caught.value.reason == "unknown_term"


@pytest.mark.parametrize("version", ["5.0", "v5", 5, None])
def test_a_version_that_is_only_text_is_refused(version: object) -> None:
    with pytest.raises(CriteriaError) as caught:
        grade_range(ANC, 0.3, version)  # type: ignore[arg-type]
    assert caught.value.reason == "unknown_version"


def test_hz_ctcae_01_versions_cannot_be_mixed_in_one_flag() -> None:
    terms = (CtcaeTerm(ANC, V5, 4), CtcaeTerm(ANC, V6, 3))
    said = Sentences((say("laboratory.action_today"),), (say("laboratory.no_reference"),))
    with pytest.raises(FlagError) as caught:
        Flag(FlagKind.LABORATORY_VALUE, NOW, Urgency.TODAY, Origin.LAB, said, ctcae=terms)
    assert caught.value.reason == "ctcae_versions_mixed"


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1])
def test_what_is_no_value_is_refused(value: float) -> None:
    with pytest.raises(CriteriaError) as caught:
        grade_range(ANC, value, V5)
    assert caught.value.reason == "bad_value"


@given(st.floats(0.0, 20.0), st.floats(0.0, 20.0), st.sampled_from([V5, V6]))
def test_a_lower_count_never_has_a_milder_range(first: float, second: float, version: CtcaeVersion) -> None:
    low, high = sorted((first, second))
    milder, worse = (grade_range(ANC, v, version, low_limit=2.0).grade for v in (high, low))
    assert milder is not None
    assert worse is not None
    assert worse >= milder


@pytest.mark.parametrize("version", [V5, V6])
def test_the_shipped_files_say_their_version_and_source(version: CtcaeVersion) -> None:
    table = criteria(version)
    assert (table.version, table.mark) == (version, "S")
    assert table.source


@given(st.text())
def test_any_text_as_a_file_of_criteria_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("criteria") / "any.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(CriteriaError):
        load_criteria(path)


@pytest.mark.parametrize(
    "row",
    [
        "below = [{ grade = 5, value = 1.0 }]",
        "below = [{ grade = 4 }]",
        "below = [{ grade = 4, value = 1.0, typo = 2.0 }]",
        "below = [{ grade = 3, value = 1.0 }, { grade = 4, value = 0.5 }]",
        "above = 3",
    ],
)
def test_a_row_that_is_none_is_refused(tmp_path: Path, row: str) -> None:
    path = tmp_path / "rows.toml"
    head = (
        'schema = "edge-twin.ctcae/1"\nversion = "5.0"\nmark = "S"\nsource = "x"\n[[term]]\nterm = "a"\ncodes = ["b"]\n'
    )
    path.write_text(head + row, encoding="utf-8")
    with pytest.raises(CriteriaError) as caught:
        load_criteria(path)
    assert caught.value.reason == "malformed"
