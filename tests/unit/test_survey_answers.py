"""Answers of a questionnaire and entries of the diary: read, refused, never filled in."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.diary import load_diary, read_diary
from edge_twin.errors import EdgeTwinError, SurveyError
from edge_twin.observation import Origin
from edge_twin.proctcae import Pack, load_pack
from edge_twin.wording import reference
from edge_twin_adapters.diary import DiaryError, read_entry
from edge_twin_adapters.documents import read_document
from edge_twin_adapters.errors import AdapterError, FhirError
from edge_twin_adapters.survey import Answers, SurveyAnswerError, read_answers
from tests.survey_fixture import contents, digest_of, written

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    files = contents()
    folder = written(tmp_path_factory.mktemp("site") / "pack", files)
    return load_pack(folder, digest=digest_of(files), allow_fixture=True)


def sheet(answers: object, **further: object) -> dict[str, object]:
    return {
        "schema": "edge-twin.survey-answers/1", "instrument": "fixture", "version": "0.1", "language": "en",
        "time": "2026-03-10T18:00:00+01:00", "answers": answers, **further,
    }  # fmt: skip


def read(pack: Pack, answers: object, **further: object) -> Answers:
    return read_answers(sheet(answers, **further), source="site", pack=pack)


def found(answers: Answers) -> list[tuple[str, float, str]]:
    return [(o.code.name, o.value, o.attributes.get("not_asked", "")) for o in answers.observations]


def test_hz_symptom_06_skipped_is_a_zero_that_was_not_asked(pack: Pack) -> None:
    assert found(read(pack, {"glimmer": {"frequency": 0}})) == [
        ("survey_frequency", 0.0, ""), ("survey_severity", 0.0, "branching"), ("survey_interference", 0.0, "branching"),
    ]  # fmt: skip


def test_hz_symptom_06_unanswered_is_missing_and_named(pack: Pack) -> None:
    answers = read(pack, {"glimmer": {"frequency": 2, "severity": 3, "interference": None}})
    assert found(answers) == [("survey_frequency", 2.0, ""), ("survey_severity", 3.0, "")]
    assert {o.attributes["unanswered"] for o in answers.observations} == {"interference"}
    assert [r.score for r in answers.responses] == [2, 3, None]


def test_no_composite_grade_is_made(pack: Pack) -> None:
    assert read(pack, {"glimmer": {"frequency": 4, "severity": 4, "interference": 4}}).composite_grade is None


def test_an_answer_says_from_which_pack_language_and_recall_it_is(pack: Pack) -> None:
    (observation,) = read(pack, {"speckle": {"presence": 1}}, language="xx").observations
    assert observation.origin is Origin.PATIENT_REPORTED
    assert observation.time == datetime(2026, 3, 10, 17, tzinfo=UTC)
    assert dict(observation.attributes) == {
        "instrument": "fixture", "pack_version": "0.1", "language": "xx", "recall": "zibi 7 dola", "term": "speckle",
    }  # fmt: skip


def test_two_terms_with_the_same_score_are_two_observations(pack: Pack) -> None:
    answers = read(pack, {"hum": {"severity": 2, "frequency": 2}, "sway": {"severity": 2}})
    assert len({o.id for o in answers.observations}) == 3


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"unheard": {"severity": 1}}, "unknown_term"),
        ({"hum": {"interference": 1}}, "unknown_attribute"),
        ({"hum": {"severity": 1.5}}, "not_a_whole_number"),
        ({"hum": {"severity": True}}, "not_a_whole_number"),
        ({"hum": {"severity": 5}}, "outside_scale"),
        ({"hum": {"severity": -1}}, "outside_scale"),
        ({"speckle": {"presence": 2}}, "outside_scale"),
        ({"hum": {"frequency": 0, "severity": 2}}, "answer_contradicts_branching"),
        ({"hum": 3}, "malformed"),
    ],
)
def test_a_term_that_is_refused_spoils_no_other(pack: Pack, answers: dict[str, Any], reason: str) -> None:
    given_answers = read(pack, {**answers, "fuzz": {"amount": 1}})
    assert [refusal.reason for refusal in given_answers.refused] == [reason]
    assert found(given_answers) == [("survey_amount", 1.0, "")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": "edge-twin.survey-answers/2"}, "schema_unsupported"),
        ({"instrument": "PRO-CTCAE"}, "other_pack"),
        ({"version": "0.2"}, "other_pack"),
        ({"language": "de"}, "unknown_language"),
        ({"time": "2026-03-10T18:00:00"}, "naive_time"),
        ({"time": "yesterday"}, "invalid_time"),
        ({"answers": []}, "malformed"),
        ({"extra": 1}, "unknown_key"),
    ],
)
def test_a_sheet_that_is_refused(pack: Pack, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(SurveyAnswerError) as caught:
        read(pack, change.pop("answers", {}), **change)
    assert caught.value.reason == reason


def test_without_a_pack_there_are_no_answers() -> None:
    with pytest.raises(SurveyAnswerError) as caught:
        read_document(json.dumps(sheet({})).encode(), source="site")
    assert caught.value.reason == "no_pack"


@given(JSON_VALUES)
def test_any_answers_are_read_or_refused(pack: Pack, value: object) -> None:
    for document in (value, sheet(value), sheet({"hum": value}), sheet({}, time=value)):
        with suppress(AdapterError):
            answers = read_answers(json.dumps(document), source="site", pack=pack)
            assert all(0.0 <= o.value <= o.code.high for o in answers.observations)


# --- the diary -------------------------------------------------------------------------------------


def entry(answers: object, **further: object) -> dict[str, object]:
    return {
        "schema": "edge-twin.diary-entry/1", "form": "daily", "time": "2026-03-10T18:00:00+01:00",
        "answers": answers, **further,
    }  # fmt: skip


def test_the_diary_has_a_question_for_every_item_and_is_never_labelled_as_another_instrument() -> None:
    templates = reference().templates
    for item in load_diary().items:
        assert item.code.name in {id_.removeprefix("diary.") for id_ in templates}
        assert item.question.text.endswith(("?", "(asked of a relative)"))
        assert all(anchor.id in templates for anchor in item.scale.anchors)
        assert reference().words[item.code.name]
    texts = [text for id_, text in templates.items() if id_.startswith("diary.")]
    assert not any("ctcae" in text.lower() for text in texts)


def test_a_question_says_its_recall() -> None:
    (first, *_) = load_diary().form("daily")
    assert first.question.text == "How bad was your pain in the last 24 hours?"
    assert (first.scale.low, first.scale.high) == (0, 10)


def test_an_entry_becomes_patient_reported_observations() -> None:
    read_back = read_entry(entry({"diary_pain": 3, "diary_nausea": None}, reported_by="relative"), source="app")
    (pain,) = read_back.observations
    assert (pain.code, pain.value, pain.origin) == (codes.by_name("diary_pain"), 3.0, Origin.PATIENT_REPORTED)
    assert pain.attributes["reported_by"] == "relative"
    assert pain.attributes["recall"] == "last_24_hours"
    assert "diary_nausea" in pain.attributes["unanswered"].split(",")
    assert len(read_back.unanswered) == len(load_diary().form("daily")) - 1


def test_hz_symptom_06_an_unanswered_item_of_the_diary_is_no_zero() -> None:
    assert read_entry(entry({"diary_pain": None}), source="app").observations == ()


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"diary_pain": 11}, "outside_scale"),
        ({"diary_pain": -1}, "outside_scale"),
        ({"diary_pain": 3.0}, "not_a_whole_number"),
        ({"diary_pain": False}, "not_a_whole_number"),
        ({"diary_pain": "3"}, "not_a_whole_number"),
        ({"diary_lung_pain": 3}, "unknown_item"),
        ({"x.diary_cough": 3}, "unknown_item"),
    ],
)
def test_an_answer_that_is_refused_spoils_no_other(answers: dict[str, Any], reason: str) -> None:
    read_back = read_entry(entry({**answers, "diary_cough": 1}), source="app")
    assert [refusal.reason for refusal in read_back.refused] == [reason]
    assert [o.code.name for o in read_back.observations] == ["diary_cough"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": "other"}, "schema_unsupported"),
        ({"form": "monthly"}, "unknown_form"),
        ({"form": 1}, "malformed"),
        ({"reported_by": "robot"}, "unknown_reporter"),
        ({"time": "2026-03-10T18:00:00"}, "naive_time"),
        ({"time": 5}, "invalid_time"),
        ({"more": 1}, "unknown_key"),
    ],
)
def test_an_entry_that_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(DiaryError) as caught:
        read_entry(entry({}, **change), source="app")
    assert caught.value.reason == reason


@given(JSON_VALUES)
def test_any_entry_is_read_or_refused(value: object) -> None:
    for document in (
        value,
        entry(value),
        entry({"diary_pain": value}),
        entry({}, reported_by=value),
        entry({}, time=value),
    ):
        with suppress(AdapterError):
            read_back = read_entry(json.dumps(document), source="app")
            assert all(0.0 <= o.value <= o.code.high for o in read_back.observations)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for read_bytes in (content, b'{"schema": "edge-twin.diary-entry/1"' + content):
        with pytest.raises(EdgeTwinError):
            read_document(read_bytes, source="app")


def test_one_reader_tells_documents_apart(pack: Pack) -> None:
    assert read_document(json.dumps(entry({"diary_pain": 1})).encode(), source="a").observations[0].value == 1.0
    answers = json.dumps(sheet({"fuzz": {"amount": 2}})).encode()
    assert read_document(answers, source="a", pack=pack).observations[0].value == 2.0
    with pytest.raises(FhirError):
        read_document(b'{"schema": "edge-twin.other/1"}', source="a")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1", "schema_unsupported"),
        ("[", "malformed"),
        ('schema = "edge-twin.diary/1"', "malformed"),
    ],
)
def test_a_file_that_is_no_diary(text: str, reason: str) -> None:
    with pytest.raises(SurveyError) as caught:
        read_diary(text)
    assert caught.value.reason == reason


def test_an_item_with_a_scale_beyond_its_code_is_refused() -> None:
    shipped = (Path(codes.__file__).parent / "rules" / "diary.toml").read_text(encoding="utf-8")
    with pytest.raises(SurveyError) as caught:
        read_diary(shipped.replace("high = 10", "high = 11", 1))
    assert caught.value.reason == "malformed"
