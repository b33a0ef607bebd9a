"""Hand-written clinical stories: each replays to its exact flags, refusals and sentences (docs/stories.md)."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from edge_twin.contract import Refusal
from edge_twin.flag import Flag, FlagKind
from edge_twin.twin import advance
from edge_twin.wording import english
from tests.clinical.story_files import FOLDER, Story, difference, names, read, told, ups

TESTS = Path(__file__).parents[1]
NAMES = names()
QUIET = [name for name in NAMES if name.startswith("quiet_")]
LARGEST_FILE = 60_000
# Kinds that no step of the twin raises, and the tests that cover them.
NOT_OF_A_STEP = {
    FlagKind.RUNTIME_STOPPED: TESTS / "unit" / "test_deadman.py",
}
PARTS = ("action", "reason", "clinician", "would_change", "limits", "data_quality")
REASSURES = re.compile(
    r"\b(safe(ly)?|fine|ok(ay)?|healthy|normal|low risk|no risk|harmless|all clear|no danger|no cause for|don't worry"
    r"|do not worry|nothing to worry|reassur\w*|you are well|no infection|no fever\b(?! was recorded))",
    re.IGNORECASE,
)
DOSES = re.compile(
    r"\b\d+(\.\d+)? ?(mg|mg/m2|tablets?|units of)\b(?!/)"
    r"|\b(reduce|increase|halve|double|skip|postpone|stop) (the|your) (dose|treatment|medicine|next cycle)",
    re.IGNORECASE,
)
GRADE = re.compile(r"\bgrade\b[^.;]*(?:;[^.]*)?", re.IGNORECASE)
GRADE_ALLOWED = re.compile(r"grade \d range of .*grade to be confirmed by a clinician", re.IGNORECASE)


def events(name: str) -> Iterator[dict[str, Any]]:
    """What is expected to happen in a story, in order."""
    for step in read(name).expected["steps"]:
        yield from step["events"]


def flags(story: Story) -> Iterator[Flag]:
    """Every flag that holds at a moment of a story."""
    model, *further = story.models or (None,)
    for given in story.case.inputs(model, tuple(one for one in further if one)):
        yield from advance(given).flags


def sentences(name: str) -> Iterator[str]:
    """Every text that a story shows to a person."""
    for event in events(name):
        yield from (event[part] for part in PARTS if event.get(part))


@pytest.mark.parametrize("name", NAMES)
def test_the_story_is_told_exactly(name: str) -> None:
    story = read(name)
    changed = difference(story.expected["steps"], told(story))
    assert not changed, f"{name}: {story.expected['why']}\n{changed}"


@pytest.mark.parametrize("name", NAMES)
def test_the_flags_are_those_that_a_person_wrote_down(name: str) -> None:
    expected = read(name).expected
    assert ups(expected["steps"]) == expected["up"], expected["why"]


@pytest.mark.parametrize("name", NAMES)
def test_order_and_repetition_of_the_observations_change_nothing(name: str) -> None:
    story = read(name)
    observations = [*story.case.template.observations, *story.case.template.observations[:3]]
    random.Random(20260302).shuffle(observations)  # noqa: S311 - no secret: an order
    template = replace(story.case.template, observations=tuple(observations))
    other = replace(story, case=replace(story.case, template=template))
    assert not difference(told(story), told(other))


def test_there_are_at_least_thirty_stories_and_no_file_is_large() -> None:
    assert len(NAMES) >= 30
    assert all(path.stat().st_size < LARGEST_FILE for path in FOLDER.rglob("*") if path.is_file())


def test_every_kind_of_flag_that_a_step_can_raise_is_told() -> None:
    seen = {event["key"].split("/")[0] for name in NAMES for event in events(name) if event["act"] == "raised"}
    assert seen == set(FlagKind) - set(NOT_OF_A_STEP)


@pytest.mark.parametrize("kind", NOT_OF_A_STEP)
def test_a_kind_outside_the_step_is_covered_by_the_test_named(kind: FlagKind) -> None:
    text = NOT_OF_A_STEP[kind].read_text(encoding="utf-8")
    assert kind.name in text or kind.value in text


def test_every_story_stands_in_the_document() -> None:
    document = (TESTS.parent / "docs" / "stories.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"| `{name}` |" not in document] == []


def test_every_refusal_is_told() -> None:
    assert {reason for name in NAMES for step in read(name).expected["steps"] for reason in step["refusals"]} == set(
        Refusal
    )


def test_at_least_five_quiet_stories_of_one_to_three_weeks_stay_silent() -> None:
    assert len(QUIET) >= 5
    for name in QUIET:
        story = read(name)
        length = story.case.moments[-1] - story.case.moments[0]
        assert timedelta(days=6) <= length <= timedelta(days=21)
        assert len(story.case.template.observations) > length.days
        assert not list(events(name))


@pytest.mark.parametrize("name", NAMES)
def test_no_sentence_reassures_proposes_a_dose_or_grades(name: str) -> None:
    for text in sentences(name):
        assert not REASSURES.search(text), text
        assert not DOSES.search(text), text
        assert all(GRADE_ALLOWED.search(text) for _ in GRADE.finditer(text)), text


@pytest.mark.parametrize(
    "text", ["You are fine.", "Your values are normal.", "Take 500 mg of it.", "Reduce your dose.", "Grade 2 fever."]
)
def test_the_scan_finds_what_it_looks_for(text: str) -> None:
    graded = [found for found in GRADE.finditer(text) if not GRADE_ALLOWED.search(text)]
    assert REASSURES.search(text) or DOSES.search(text) or graded


@pytest.mark.parametrize("name", NAMES)
def test_the_evidence_stands_in_the_sentences(name: str) -> None:
    """Its value, or for an absence and for a reading that cannot be used, its time."""
    story = read(name)
    zone = ZoneInfo(story.case.template.time_zone)
    for flag in flags(story):
        text = " ".join(english(getattr(flag.says, part)) for part in PARTS)
        numbers = set(re.findall(r"\d+(?:\.\d+)?", text))
        written = {form for item in flag.evidence for form in _forms(item.value)}
        written |= _forms(sum(item.value for item in flag.evidence))
        times = [f"{item.time.astimezone(zone):%H:%M on %Y-%m-%d}" in text for item in flag.evidence]
        assert not flag.evidence or numbers & written or any(times), (flag.key, text, written)


def _forms(value: float) -> set[str]:
    """How a sentence may write a value."""
    return {f"{value:.4g}", f"{value:g}", f"{value:.0f}", str(int(value))}
