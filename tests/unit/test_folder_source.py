"""The intake folder: complete files only, each once, and a bad one spoils nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_twin.observation import DeviceEvent, Observation
from edge_twin_adapters import folder
from edge_twin_adapters.fhir import anc_observation
from edge_twin_adapters.folder import FolderSource, Item

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


async def collect(source: FolderSource, wanted: int) -> list[Item]:
    stream: AsyncIterator[Item] = source.stream()
    items: list[Item] = []
    async with asyncio.timeout(5.0):
        async for item in stream:
            items.append(item)
            if len(items) == wanted:
                await source.aclose()
    return items


def write(path: Path, value: float) -> None:
    path.write_text(json.dumps(anc_observation(value, NOW)), encoding="utf-8")


def make(path: Path) -> FolderSource:
    return FolderSource(path, clock=lambda: NOW, poll_seconds=0.01)


async def test_files_there_and_files_that_come_later_are_read_once(tmp_path: Path) -> None:
    write(tmp_path / "a.json", 4.0)
    (tmp_path / "half.part").write_text("{")
    source = make(tmp_path / "")
    reading = asyncio.create_task(collect(source, 2))
    await asyncio.sleep(0.05)
    write(tmp_path / "b.part", 3.0)
    (tmp_path / "b.part").rename(tmp_path / "b.json")
    items = await reading
    assert [item.value for item in items if isinstance(item, Observation)] == [4.0, 3.0]
    assert source.files_read == 2


async def test_bad_files_are_told_and_the_others_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "LARGEST_FILE", 5000)
    (tmp_path / "a.json").write_text("{not json")
    (tmp_path / "b.json").write_bytes(b"\xff" * 6000)
    unit = dict(anc_observation(5.0, NOW), valueQuantity={"value": 5.0, "unit": "mg/dL", "code": "mg/dL"})
    (tmp_path / "c.json").write_text(json.dumps(unit), encoding="utf-8")
    (tmp_path / "d.json").mkdir()
    write(tmp_path / "e.json", 4.0)
    items = await collect(make(tmp_path), 5)
    details = sorted(item.detail.split()[0] for item in items if isinstance(item, DeviceEvent))
    assert details == ["not_json", "too_large", "unreadable", "wrong_unit"]
    assert [item.value for item in items if isinstance(item, Observation)] == [4.0]
