"""``edge-twin flags``: what a nurse on a box without a console sees and does."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_twin.flag import FlagKind
from edge_twin.flags.alarm_rules import alarm_rules
from edge_twin.flags.lifecycle import follow
from edge_twin.store import Store
from edge_twin_app.cli import main
from tests.unit.test_flag_life import COUNT, FEVER

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store in which a fever (number 1) and a low count (number 2) are up."""
    with closing(Store(tmp_path / "edge-twin.db")) as store:
        before = store.flags.lives()
        store.flags.keep(before, follow(before, [FEVER, COUNT], datetime.now(UTC), alarm_rules()))
    return tmp_path / "edge-twin.db"


@pytest.fixture
def flags(path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: str) -> tuple[int, str, str]:
        status = main(["flags", *arguments, "--store", str(path)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def test_the_list_says_state_sentences_and_who_knows(flags: Command) -> None:
    status, out, _ = flags("list")
    assert status == 0
    assert "   1  now       raised  fever_under_chemotherapy, raised" in out
    assert "action: Call your team now" in out
    assert "Only on this phone: your clinic does not know of this." in out
    assert "rule 1, urgent 1; budget 3 of the class budgeted" in out


def test_the_list_as_json(flags: Command) -> None:
    _, out, _ = flags("list", "--json")
    document = json.loads(out)
    assert [(row["id"], row["urgency"], row["state"]) for row in document["rows"]] == [
        (1, "now", "raised"),
        (2, "today", "raised"),
    ]
    assert document["alerts"] == {"rule": 1, "urgent": 1}


def test_an_acknowledgement_by_name(flags: Command) -> None:
    status, out, _ = flags("acknowledge", "1", "--by", "A. Nurse")
    assert status == 0
    assert "acknowledged by A. Nurse" in out
    assert "acknowledged by A. Nurse" in flags("list")[1]


def test_a_clinician_closes_a_flag(flags: Command) -> None:
    assert "resolved by Dr. B" in flags("close", "1", "--by", "Dr. B")[1]
    assert [row["id"] for row in json.loads(flags("list", "--json")[1])["rows"]] == [2]
    assert "resolved by Dr. B" in flags("list", "--all")[1]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("acknowledge", "9", "--by", "A. Nurse"), "not_found"),
        (("acknowledge", "1", "--by", " "), "no_name"),
        (("snooze", "1", "--by", "A. Nurse", "--hours", "1"), "urgent"),
        (("snooze", "2", "--by", "A. Nurse", "--hours", "13"), "too_long"),
    ],
)
def test_a_refusal_says_why_and_changes_nothing(flags: Command, arguments: tuple[str, ...], reason: str) -> None:
    before = flags("list", "--json")
    status, _, err = flags(*arguments)
    assert status == 1
    assert f"[{reason}]" in err
    assert flags("list", "--json") == before


def test_a_snooze_has_an_end(flags: Command, path: Path) -> None:
    assert flags("snooze", "2", "--by", "A. Nurse", "--hours", "2")[0] == 0
    with closing(Store(path)) as store:
        life = store.flags.lives().by_key[FlagKind.NEUTROPHILS_LOW]
    assert life.snoozed_until is not None
    assert abs(life.snoozed_until - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=5)


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "soon"])
def test_hours_are_a_number_above_zero(flags: Command, hours: str) -> None:
    with pytest.raises(SystemExit):
        flags("snooze", "2", "--by", "A. Nurse", "--hours", hours)


def test_nothing_up_reassures_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(tmp_path / "empty.db").close()
    assert main(["flags", "list", "--store", str(tmp_path / "empty.db")]) == 0
    said = capsys.readouterr().out
    assert "No warning signs in what was recorded. If you feel unwell, call." in said
    assert said.startswith("This phone has not looked at your data yet. Do not wait for this phone")


def test_no_store_is_made_by_looking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flags", "list", "--store", str(tmp_path / "none.db")]) == 1
    assert "[no_store]" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()
