"""A diary entry and a questionnaire from the intake folder to a flag, through the running device."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_twin import codes
from edge_twin.contract import TwinOutput
from edge_twin.proctcae import Pack, load_pack
from edge_twin.program import Program
from edge_twin.runtime import Plan, Runtime
from edge_twin.store import Store
from edge_twin_adapters.documents import read_document
from edge_twin_adapters.fhir import Intake
from edge_twin_adapters.folder import FolderSource
from edge_twin_app.intake_reader import intake_reader
from edge_twin_app.settings import QuestionnaireSettings
from tests.survey_fixture import contents, digest_of, written

NOW = datetime(2026, 3, 10, 18, 0, tzinfo=UTC)


def drop(folder: Path, name: str, document: dict[str, object]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")


def time(days_ago: float) -> str:
    return (NOW - timedelta(days=days_ago)).isoformat()


def entry(days_ago: float, **answers: int) -> dict[str, object]:
    return {"schema": "edge-twin.diary-entry/1", "form": "daily", "time": time(days_ago), "answers": answers}


def sheet(days_ago: float, severity: int) -> dict[str, object]:
    return {
        "schema": "edge-twin.survey-answers/1", "instrument": "fixture", "version": "0.1", "language": "en",
        "time": time(days_ago), "answers": {"hum": {"frequency": 1, "severity": severity}},
    }  # fmt: skip


class FolderOnce(FolderSource):
    """The intake folder, read once: the source ends after the files that are there."""

    def __init__(self, folder: Path, pack: Pack | None) -> None:
        def read(content: bytes, source: str) -> Intake:
            return read_document(content, source=source, pack=pack)

        super().__init__(folder, clock=lambda: NOW, poll_seconds=0.01, read=read)

    async def _wait(self) -> None:
        await self.aclose()


def run(folder: Path, program: Program, pack: Pack | None, store: Store) -> TwinOutput:
    """Everything in the folder, worked on, and the last answer."""
    runtime = Runtime(store, Plan("Europe/Berlin", program, None), (FolderOnce(folder, pack),), clock=lambda: NOW)
    asyncio.run(runtime.run())
    assert runtime.last is not None
    return runtime.last


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.sqlite")


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    files = contents()
    return load_pack(written(tmp_path / "pack", files), digest=digest_of(files), allow_fixture=True)


def test_entries_and_answers_of_weeks_become_flags(tmp_path: Path, program: Program, store: Store, pack: Pack) -> None:
    folder = tmp_path / "intake"
    drop(folder, "a", entry(1.0, diary_pain=2))
    drop(folder, "b", entry(0.1, diary_pain=5))
    drop(folder, "c", sheet(7.1, 0))
    drop(folder, "d", sheet(0.1, 2))
    output = run(folder, program, pack, store)
    assert {"diary_pain", "survey_hum"} <= {flag.topic for flag in output.flags}
    (pain,) = [flag for flag in output.flags if flag.topic == "diary_pain"]
    assert "It was 2 in your last report" in pain.reason
    assert {o.source for o in store.observations(code=codes.by_name("diary_pain"))} == {"diary:intake"}
    store.close()


def test_after_a_restart_the_last_report_is_still_known(tmp_path: Path, program: Program, store: Store) -> None:
    folder, later = tmp_path / "intake", tmp_path / "later"
    drop(folder, "a", entry(9.0, diary_fatigue=2))
    run(folder, program, None, store)
    drop(later, "b", entry(0.1, diary_fatigue=6))
    output = run(later, program, None, store)
    assert "It was 2 in your last report" in next(f for f in output.flags if f.topic == "diary_fatigue").reason
    store.close()


def test_answers_without_a_pack_are_refused_and_told(tmp_path: Path, program: Program, store: Store) -> None:
    folder = tmp_path / "intake"
    drop(folder, "a", sheet(0.1, 4))
    drop(folder, "b", entry(0.1, diary_pain=9))
    output = run(folder, program, None, store)
    assert [flag.topic for flag in output.flags] == ["diary_pain"]
    assert [row["detail"] for row in store.database.query("SELECT detail FROM events")] == ["no_pack"]
    store.close()


def test_hz_symptom_05_a_refused_pack_stops_its_answers_and_nothing_else(tmp_path: Path) -> None:
    files = contents()
    told: list[str] = []
    settings = QuestionnaireSettings(written(tmp_path / "pack", files), digest_of(files))
    read = intake_reader(settings, told.append)
    assert told == ["questionnaire fixture_pack"]
    assert read(json.dumps(entry(0.0, diary_pain=1)).encode(), "fhir:intake").observations
    told.clear()
    intake_reader(replace(settings, digest="0" * 64), told.append)
    assert told == ["questionnaire digest_differs"]
