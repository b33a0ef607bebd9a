"""Messages: no number is lost, whatever the catalogue holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.errors import WordingError
from edge_twin.wording import Catalogue, load, placeholders, reference, say

MORNING = datetime(2026, 3, 10, 6, 10, tzinfo=UTC).astimezone(ZoneInfo("Europe/Berlin"))


def test_a_message_shows_its_values_in_the_patients_zone() -> None:
    assert say("fever.reading", value=38.4, time=MORNING).text == "Temperature 38.4 °C by mouth at 07:10 on 2026-03-10"


def test_a_message_within_a_message() -> None:
    first = say("fever.reading", value=38.1, time=MORNING)
    assert say("fever.not_repeated", first=first, minutes=75.0).text.endswith("no second reading within 75 minutes")


def test_without_a_template_id_and_values_are_shown() -> None:
    empty = Catalogue("xx", {}, {})
    assert empty.sentence(say("fever.reading", value=38.4, time=MORNING)).count("38.4") == 1


def test_a_template_that_asks_for_more_than_there_is_falls_back_to_the_values() -> None:
    other = Catalogue("xx", {"a.b": "{missing} {value}"}, {})
    assert other.sentence(say("a.b", value=7)) == "A.b (value 7)"


def test_words_are_translated_and_others_stay() -> None:
    german = Catalogue("de", {"a.b": "{label} {value:g}"}, {"neutrophils": "Neutrophile"})
    assert german.render([say("a.b", label="neutrophils", value=0.5)]) == "Neutrophile 0.5"


@pytest.mark.parametrize("bad", ["{a.b}", "{0}", "{a[0]}", "{a!r}", "{", "}", "{}"])
def test_a_template_holds_plain_names_alone(bad: str) -> None:
    with pytest.raises(WordingError) as caught:
        placeholders(bad)
    assert caught.value.reason == "bad_template"


@pytest.mark.parametrize("bad", ["..", "en/..", "xx", ""])
def test_a_language_that_is_not_there(bad: str) -> None:
    with pytest.raises(WordingError) as caught:
        load(bad)
    assert caught.value.reason == "not_found"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a = 1", "malformed"),
        ("[t]\na = 1", "malformed"),
        ("[t", "malformed"),
        ("[t]\na = '{x.y}'", "bad_template"),
        ("[fever]\na = 'x'\n", "repeated"),
    ],
)
def test_a_catalogue_that_is_none(tmp_path: Path, content: str, reason: str) -> None:
    folder = tmp_path / "en"
    folder.mkdir()
    (folder / "a.toml").write_text("[fever]\na = 'y'\n", encoding="utf-8")
    (folder / "b.toml").write_text(content, encoding="utf-8")
    with pytest.raises(WordingError) as caught:
        load("en", tmp_path)
    assert caught.value.reason == reason


@given(st.text())
def test_any_text_as_a_template_is_read_or_refused(text: str) -> None:
    try:
        names = placeholders(text)
    except WordingError:
        return
    assert all(name.isidentifier() and name in text for name in names)


def test_the_reference_has_no_reassurance() -> None:
    forbidden = ("you are fine", "low risk", "no need to call", " safe", "everything is normal", "all clear")
    for template in reference().templates.values():
        assert not any(phrase in template.lower() for phrase in forbidden), template
