"""Every threshold of the streams has a value, a mark and a source, is used, and is the one that the document shows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from edge_twin.features import stream_settings
from edge_twin.features.stream_settings import setting, table

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
