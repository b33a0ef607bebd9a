"""The clinical stories: reading a story and its expectation, and telling it; ``python -m tests.clinical.story_files``.

Run as a command it tells every story, prints the difference to the committed expectation, and writes it only with
``--write`` and only where the flags that are up are those that a person wrote down before (``up``): a wrong flag is
never copied into an expectation.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from edge_twin.case import Case, read_case
from edge_twin.contract import Model
from edge_twin.program import Program, load_program
from edge_twin.story import tell_case
from edge_twin_app.models import load_models, load_surrogate

FOLDER = Path(__file__).parent / "stories"
_DIGITS = 3  # of a probability: the last digits of an ensemble differ between processors


@dataclass(frozen=True)
class Story:
    """A story of the folder.

    Attributes:
        name: of its files.
        case: the patient's record and the moments.
        expected: ``why`` (who, what should happen, by which source), ``models``, optionally ``program`` (a file),
            ``up`` (written by hand: keys and urgencies after each step) and ``steps`` (all that is said).
    """

    name: str
    case: Case
    expected: Mapping[str, Any]

    @property
    def models(self) -> tuple[Model, ...]:
        """What the expectation asks for: ``none``, ``shipped``, or the ``student`` of whole courses."""
        return _models(self.expected["models"], self.case.program)


def names() -> list[str]:
    """Names of all stories."""
    return sorted(path.stem for path in FOLDER.glob("*.json") if not path.stem.endswith(".expected"))


def read(name: str) -> Story:
    """One story by name."""
    case = read_case((FOLDER / f"{name}.json").read_bytes())
    expected = json.loads((FOLDER / f"{name}.expected.json").read_text(encoding="utf-8"))
    if "program" in expected:
        program = load_program(FOLDER / expected["program"])
        case = replace(case, program=program, template=replace(case.template, program=program))
    return Story(name, case, expected)


def told(story: Story) -> list[dict[str, Any]]:
    """The steps of a story as they are now."""
    model, *further = story.models or (None,)
    steps = json.loads(tell_case(story.case, model, tuple(one for one in further if one)))["steps"]
    return [_rounded(step) for step in steps]


def ups(steps: list[dict[str, Any]]) -> list[list[str]]:
    """Keys and urgencies that are up after each step, as a person writes them."""
    return [sorted(f"{flag['key']} {flag['urgency']}" for flag in step["up"]) for step in steps]


def said(value: object) -> list[str]:
    """A result as lines, for a difference that can be read."""
    return json.dumps(value, indent=1, ensure_ascii=False).splitlines()


def difference(before: object, after: object) -> str:
    """What changed, in lines; empty when nothing did."""
    return "\n".join(difflib.unified_diff(said(before), said(after), "expected", "told", lineterm="", n=2))


def _rounded(step: dict[str, Any]) -> dict[str, Any]:
    for event in step["events"]:
        if event.get("probability") is not None:
            event["probability"] = round(event["probability"], _DIGITS)
    return step


@cache
def _shipped(name: str) -> tuple[Model, ...]:
    return load_models(load_program(name), "numpy")


@cache
def _student() -> tuple[Model, ...]:
    return (load_surrogate("numpy"),)


def _models(which: str, program: Program) -> tuple[Model, ...]:
    if which == "student":
        return _student()
    return _shipped(program.id) if which == "shipped" else ()


def _retell(name: str, *, write: bool) -> bool:
    """Whether a story is told as expected, or could be written so."""
    story = read(name)
    steps = told(story)
    changed = difference(story.expected.get("steps", []), steps)
    wrong = difference(story.expected["up"], ups(steps))
    print(f"== {name}{' WRONG FLAGS' if wrong else ''}\n{wrong or changed}")
    if changed and write and not wrong:
        form = {**story.expected, "steps": steps}
        text = json.dumps(form, indent=1, ensure_ascii=False) + "\n"
        (FOLDER / f"{name}.expected.json").write_text(text, encoding="utf-8")
    return not wrong and (write or not changed)


def main(arguments: list[str]) -> int:
    """Tell the stories named, or all of them."""
    wanted = [one for one in arguments if not one.startswith("--")] or names()
    results = [_retell(name, write="--write" in arguments) for name in wanted]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
