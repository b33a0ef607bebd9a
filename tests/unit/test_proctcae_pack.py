"""The content pack of a questionnaire: what is refused, and the branching (hazard HZ-SYMPTOM-05)."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.errors import SurveyError
from edge_twin.proctcae import Attribute, Pack, Response, Term, branched, load_pack
from tests.survey_fixture import RECALLS, TERMS, contents, digest_of, locale_document, written, zipped

F, S, I = Attribute.FREQUENCY, Attribute.SEVERITY, Attribute.INTERFERENCE  # noqa: E741 - as the instrument calls them


def load(folder: Path, files: dict[str, bytes]) -> Pack:
    return load_pack(written(folder / "pack", files), digest=digest_of(files), allow_fixture=True)


def refusal(folder: Path, files: dict[str, bytes]) -> str:
    with pytest.raises(SurveyError) as caught:
        load(folder, files)
    return caught.value.reason


def test_a_whole_pack_is_read_from_a_directory_and_from_an_archive(tmp_path: Path) -> None:
    files = contents()
    pack = load(tmp_path, files)
    assert {term.id: [a.value for a in term.attributes] for term in pack.terms} == TERMS
    assert pack.recalls == RECALLS
    assert pack.questions["xx", "glimmer", S].text == "Invented glimmer (severity), zibi 7 dola?"
    assert load_pack(zipped(tmp_path / "a.zip", files), digest=digest_of(files), allow_fixture=True) == pack


def test_invented_items_are_refused_unless_asked_for(tmp_path: Path) -> None:
    files = contents()
    with pytest.raises(SurveyError) as caught:
        load_pack(written(tmp_path / "pack", files), digest=digest_of(files))
    assert caught.value.reason == "fixture_pack"


def test_hz_symptom_05_an_altered_file_is_refused(tmp_path: Path) -> None:
    files = contents()
    assert (
        refusal(tmp_path, {**files, "en.json": files["en.json"].replace(b"Invented hum", b"Altered hum")})
        == "file_altered"
    )


def test_hz_symptom_05_a_pack_with_hashes_made_anew_is_not_the_installed_one(tmp_path: Path) -> None:
    document = locale_document("en")
    document["items"][0]["text"] = "Another text, the last 7 days?"
    forged = contents(locales={"en": document, "xx": locale_document("xx")})
    with pytest.raises(SurveyError) as caught:
        load_pack(written(tmp_path / "pack", forged), digest=digest_of(contents()), allow_fixture=True)
    assert caught.value.reason == "digest_differs"


@pytest.mark.parametrize("language", RECALLS)
def test_hz_symptom_05_an_altered_recall_is_refused_in_any_language_even_with_right_hashes(
    tmp_path: Path, language: str
) -> None:
    locales = {name: locale_document(name) for name in RECALLS}
    for field in ("recall", "text"):
        altered = deepcopy(locales)
        place: dict[str, Any] = altered[language] if field == "recall" else altered[language]["items"][3]
        place[field] = place[field].replace("7", "14")
        assert refusal(tmp_path / field, contents(locales=altered)) == "recall_altered"


def test_hz_symptom_05_english_asks_about_seven_days_whatever_the_pack_states(tmp_path: Path) -> None:
    document = locale_document("en")
    document["recall"] = "the last 14 days"
    for item in document["items"]:
        item["text"] = item["text"].replace("7", "14")
    assert refusal(tmp_path, contents(locales={"en": document}, recalls={"en": "the last 14 days"})) == "recall_altered"


@pytest.mark.parametrize("made_by", ["machine", "", "site"])
def test_hz_symptom_05_a_translation_of_somebody_else_is_refused(tmp_path: Path, made_by: str) -> None:
    assert refusal(tmp_path, contents(translation=made_by)) == "machine_translated"


def test_every_attribute_of_a_term_is_asked(tmp_path: Path) -> None:
    document = locale_document("xx")
    del document["items"][2]
    assert refusal(tmp_path, contents(locales={"en": locale_document("en"), "xx": document})) == "attribute_missing"


def test_an_attribute_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, contents(terms={**TERMS, "hum": ["frequency", "colour"]})) == "unknown_attribute"
    document = locale_document("en")
    document["items"][0]["attribute"] = "colour"
    assert refusal(tmp_path / "b", contents(locales={"en": document})) == "unknown_attribute"


def test_answers_are_whole(tmp_path: Path) -> None:
    document = locale_document("en")
    document["items"][0]["answers"] = ["a", "b", "c", "d"]
    assert refusal(tmp_path, contents(locales={"en": document})) == "answers_incomplete"


def test_files_are_exactly_those_of_the_manifest(tmp_path: Path) -> None:
    files = contents()
    assert refusal(tmp_path / "a", {**files, "more.json": b"{}"}) == "file_unlisted"
    assert refusal(tmp_path / "b", {name: c for name, c in files.items() if name != "xx.json"}) == "file_missing"
    with pytest.raises(SurveyError) as caught:
        load_pack(tmp_path / "nowhere", digest="0" * 64)
    assert caught.value.reason == "not_found"


def test_an_archive_with_folders_or_too_much_in_it_is_refused(tmp_path: Path) -> None:
    for name, files, reason in (
        ("folder", {"a/pack.toml": b""}, "malformed"),
        ("many", {f"{n}.json": b"" for n in range(201)}, "too_large"),
    ):
        with pytest.raises(SurveyError) as caught:
            load_pack(zipped(tmp_path / f"{name}.zip", files), digest="0" * 64)
        assert caught.value.reason == reason


def test_a_link_in_a_directory_is_refused(tmp_path: Path) -> None:
    files = contents()
    folder = written(tmp_path / "pack", files)
    (folder / "link.json").symlink_to(folder / "en.json")
    with pytest.raises(SurveyError) as caught:
        load_pack(folder, digest=digest_of(files), allow_fixture=True)
    assert caught.value.reason == "malformed"


@given(st.binary(max_size=300))
def test_any_bytes_as_an_archive_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("any") / "pack.zip"
    file.write_bytes(content)
    with pytest.raises(SurveyError):
        load_pack(file, digest="0" * 64)


@given(st.text(max_size=300))
def test_any_text_as_a_manifest_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    files = {"pack.toml": text.encode("utf-8", "surrogatepass")}
    with pytest.raises(SurveyError):
        load(tmp_path_factory.mktemp("any"), files)


# --- branching (clinical rules, PRO-CTCAE) ---------------------------------------------------------

PAIN = Term("glimmer", (F, S, I))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param({F: 0}, [(0, False), (0, True), (0, True)], id="F0-skips-S-and-I"),
        pytest.param({F: 2, S: 0}, [(2, False), (0, False), (0, True)], id="F2-S0-skips-I"),
        pytest.param({F: 2, S: 3}, [(2, False), (3, False), (None, False)], id="F2-S3-I-unanswered-is-missing"),
        pytest.param({}, [(None, False)] * 3, id="nothing-answered-is-missing"),
        pytest.param({F: None, S: 2, I: 1}, [(None, False), (2, False), (1, False)], id="F-unanswered-skips-nothing"),
        pytest.param({F: 0, S: 0, I: 0}, [(0, False), (0, True), (0, True)], id="zeros-sent-for-skipped-items"),
    ],
)
def test_hz_symptom_06_branching(answers: dict[Attribute, int | None], expected: list[tuple[int | None, bool]]) -> None:
    assert [(r.score, r.not_asked) for r in branched(PAIN, answers)] == expected


def test_severity_skips_interference_in_a_term_without_frequency() -> None:
    assert branched(Term("sway", (S, I)), {S: 0})[1] == Response("sway", I, 0, not_asked=True)


@pytest.mark.parametrize("answers", [{F: 0, S: 2}, {F: 1, S: 0, I: 1}])
def test_an_answer_to_a_skipped_item_is_a_contradiction(answers: dict[Attribute, int | None]) -> None:
    with pytest.raises(SurveyError) as caught:
        branched(PAIN, answers)
    assert caught.value.reason == "answer_contradicts_branching"
