"""A folder in which results appear as files, by default FHIR: the simplest interface a hospital has.

Each ``*.json`` file is read once it is complete; a sender writes to another name and renames. Files are
left where they are. A refused entry becomes an event that names reason and place, and spoils nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path

from edge_twin.errors import EdgeTwinError
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation
from edge_twin_adapters.fhir import Intake, read_observations

Item = Observation | DeviceEvent
Reader = Callable[[bytes, str], Intake]
_Stamp = tuple[str, int, int]  # name, modification time in ns, size: a corrected file is read again
LARGEST_FILE = 10_000_000  # bytes; a laboratory report is thousands of times smaller


def _read_fhir(content: bytes, source: str) -> Intake:
    return read_observations(content, source=source)


class FolderSource:
    """Yields what the files of a folder say; files already there come first, oldest first.

    Args:
        folder: made if absent.
        clock: time of reception, for events.
        poll_seconds: how often to look.
        name: provenance of the observations, without patient data.
        read: reader of one file's content, with the provenance; FHIR when None.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], datetime],
        poll_seconds: float = 5.0,
        name: str = "fhir:intake",
        read: Reader | None = None,
    ) -> None:
        self._read_content = read or _read_fhir
        self.name = name
        self.files_read = 0
        self._folder = folder
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._seen: set[_Stamp] = set()
        self._closed = asyncio.Event()

    async def stream(self) -> AsyncIterator[Item]:
        """Items of every new file until :meth:`aclose`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        while not self._closed.is_set():
            for stamp, path in self._new_files():
                for item in self._read(path):
                    yield item
                self._seen.add(stamp)
                self.files_read += 1
            await self._wait()

    async def aclose(self) -> None:
        """End the stream after the file in hand."""
        self._closed.set()

    async def _wait(self) -> None:
        """Until the next look or the end; not wait_for, which in Python 3.11 can swallow a cancellation."""
        closing = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait({closing}, timeout=self._poll_seconds)
        finally:
            closing.cancel()

    def _new_files(self) -> list[tuple[_Stamp, Path]]:
        found = []
        for path in self._folder.glob("*.json"):
            status = path.stat()
            stamp = (path.name, status.st_mtime_ns, status.st_size)
            if stamp not in self._seen:
                found.append((stamp, path))
        return sorted(found, key=lambda item: (item[0][1], item[0][0]))

    def _read(self, path: Path) -> Iterator[Item]:
        try:
            if path.stat().st_size > LARGEST_FILE:
                yield self._refused("too_large")
                return
            intake = self._read_content(path.read_bytes(), self.name)
        except EdgeTwinError as error:
            yield self._refused(error.reason)
            return
        except OSError as error:
            yield self._refused(f"unreadable {type(error).__name__}")
            return
        yield from intake.observations
        for refusal in intake.refused:
            yield self._refused(f"{refusal.reason} at {refusal.path}")

    def _refused(self, detail: str) -> DeviceEvent:
        return DeviceEvent(DeviceEventKind.REFUSED, self._clock(), self.name, detail)
