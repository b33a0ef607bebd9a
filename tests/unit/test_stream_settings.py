"""Every threshold of the streams has a value, a mark and a source, is used, and is the one that the document shows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from edge_twin.features import stream_settings
from edge_twin.features.heart_day import HEART_FEATURES
from edge_twin.features.stream_settings import setting, table

DOCUMENT = Path(__file__).parents[2] / "docs" / "features-streams.md"
FEATURES = Path(stream_settings.__file__).parent
ENTRIES = [(section, name) for section, entries in table().items() for name in entries]


def used() -> set[tuple[str, str]]:
    """Thresholds that the code asks for, by the text of the calls."""
    calls = [
        node
        for path in FEATURES.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setting"
    ]
    return {(ast.literal_eval(call.args[0]), ast.literal_eval(call.args[1])) for call in calls}


@pytest.mark.parametrize(("section", "name"), ENTRIES)
def test_a_threshold_is_complete(section: str, name: str) -> None:
    entry = table()[section][name]
    assert entry.keys() == {"value", "mark", "source"}
    assert entry["mark"] in {"S", "P", "C", "A", "U"}
    assert len(entry["source"]) > 5
    assert setting(section, name) == entry["value"] > 0


def test_the_code_asks_for_every_threshold_and_no_other() -> None:
    assert used() == set(ENTRIES)


def test_the_table_has_a_version_and_unknown_names_are_refused() -> None:
    assert stream_settings.VERSION == 1
    with pytest.raises(KeyError):
        setting("beats", "no_such_threshold")


def test_the_document_defines_every_feature_of_the_streams_and_no_other() -> None:
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    first_cells = [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in rows]
    codes_of_minutes = {"motion_enmo", "motion_angle", "motion_spread", "motion_respiration", "steps", "cadence"}
    assert set().union(*first_cells) - codes_of_minutes == HEART_FEATURES
