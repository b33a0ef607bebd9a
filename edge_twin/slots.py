"""Which versions of a bundle lie on the device, in one small file that is replaced whole.

A model's folder holds ``versions/<n>/bundle.etb`` and ``current.json``. Everything that decides which version runs
stands in ``current.json``; it is written beside, flushed to the disk and moved over the old one, so that a power cut
leaves either the old state or the new one. A version that no state names is litter and is swept later.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from edge_twin.errors import BundleError
from edge_twin.manifest import Reader

SCHEMA = "edge-twin.installed/1"
_STATE, _VERSIONS, _ARCHIVE, _LOCK = "current.json", "versions", "bundle.etb", ".lock"


@dataclass(frozen=True, slots=True)
class Slot:
    """One version on the disk.

    Attributes:
        version: of the bundle.
        digest: SHA-256 of its manifest.
    """

    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class State:
    """What ``current.json`` says.

    Attributes:
        active: the version that runs.
        committed: the last version that proved itself; ``active`` is on trial while it is another one.
        previous: the one that was committed before.
        floor: the highest version ever committed; nothing older is installed without a grant.
        starts: starts of ``active`` since it was last reported healthy.
        healthy: reports of health of the version on trial.
        quarantined: digests that crashed and are never installed again.
    """

    active: Slot
    committed: Slot | None = None
    previous: Slot | None = None
    floor: Slot | None = None
    starts: int = 0
    healthy: int = 0
    quarantined: tuple[str, ...] = ()

    @property
    def on_trial(self) -> bool:
        """Whether ``active`` has still to prove itself."""
        return self.active != self.committed

    @property
    def fallback(self) -> Slot | None:
        """The version that a rollback goes to."""
        return self.committed if self.on_trial else self.previous

    def as_json(self) -> dict[str, Any]:
        """For ``current.json``."""
        slots = {name: _slot_form(getattr(self, name)) for name in _SLOTS}
        counts = {"starts": self.starts, "healthy": self.healthy}
        return {"schema": SCHEMA, **slots, **counts, "quarantined": list(self.quarantined)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of ``as_json``.

        Raises:
            BundleError: ``malformed``.
        """
        reader = Reader(content)
        reader.choice("schema", (SCHEMA,))
        active = _slot(reader.child("active"))
        committed, previous, floor = (_optional_slot(reader, name) for name in _SLOTS[1:])
        starts, healthy = (int(reader.number(name, low=0.0)) for name in ("starts", "healthy"))
        quarantined = content.get("quarantined")
        digests = reader.texts("quarantined") if quarantined else ()
        return cls(active, committed, previous, floor, starts, healthy, digests)


_SLOTS = ("active", "committed", "previous", "floor")


def _slot_form(slot: Slot | None) -> dict[str, Any] | None:
    return None if slot is None else {"version": slot.version, "digest": slot.digest}


def _slot(reader: Reader) -> Slot:
    return Slot(reader.whole("version"), reader.text("digest"))


def _optional_slot(reader: Reader, name: str) -> Slot | None:
    return None if reader.content.get(name) is None else _slot(reader.child(name))


class SlotFolder:
    """The folder of one model.

    Args:
        path: of the folder; made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def state(self) -> State | None:
        """What is installed; None when nothing is.

        Raises:
            BundleError: ``state_unreadable`` when the file is damaged.
        """
        try:
            content = json.loads((self.path / _STATE).read_bytes())
            return State.from_json(content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError, AttributeError, BundleError) as error:
            raise BundleError(f"{self.path.name}/{_STATE} cannot be read", reason="state_unreadable") from error

    def write_state(self, state: State) -> None:
        """Replace the state; the version that it names as active is in force from this instant.

        Raises:
            BundleError: ``not_writable``.
        """
        self._replace(self.path / _STATE, json.dumps(state.as_json(), indent=1).encode())

    def archive(self, slot: Slot) -> bytes:
        """Bytes of a version.

        Raises:
            BundleError: ``missing_file``, ``unreadable_file``.
        """
        path = self._archive_path(slot)
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise BundleError(f"version {slot.version} is not on the disk", reason="missing_file") from error
        except OSError as error:
            raise BundleError(f"version {slot.version} cannot be read", reason="unreadable_file") from error

    def write_archive(self, slot: Slot, content: bytes) -> None:
        """Lay a version beside the others; it is not in force yet.

        Raises:
            BundleError: ``not_writable``.
        """
        path = self._archive_path(slot)
        self._replace(path, content)
        try:
            _flush_folders(path)
        except OSError as error:
            raise _not_writable(path.parent) from error

    def sweep(self, state: State) -> None:
        """Remove the versions that ``state`` does not name; what cannot be removed is left for the next time."""
        kept = {str(slot.version) for slot in (state.active, state.committed, state.previous) if slot}
        with contextlib.suppress(OSError):
            for folder in (self.path / _VERSIONS).iterdir():
                if folder.name not in kept:
                    shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time; the system releases the lock when its holder dies.

        Raises:
            BundleError: ``not_writable``.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / _LOCK).open("wb")
        except OSError as error:
            raise _not_writable(self.path) from error
        with file:
            _lock(file.fileno())
            yield

    def _archive_path(self, slot: Slot) -> Path:
        return self.path / _VERSIONS / str(slot.version) / _ARCHIVE

    def _replace(self, path: Path, content: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(path.name + ".new")
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)  # noqa: PTH105 - the call that POSIX and Windows both make atomic
            _flush_folder(path.parent)
        except OSError as error:
            raise _not_writable(path.parent) from error


def _flush_folders(path: Path) -> None:
    """The names of a version's folders must be on the disk before a state names the version.

    They are flushed each time, also when an earlier, interrupted call has made them.
    """
    versions = path.parent.parent
    for folder in (versions, versions.parent, versions.parent.parent):
        _flush_folder(folder)


def _flush_folder(path: Path) -> None:
    """A renamed file is safe when its folder is on the disk, too; Windows has no such call."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        import fcntl  # noqa: PLC0415 - POSIX only; elsewhere one process at a time is the caller's duty
    except ImportError:
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _not_writable(path: Path) -> BundleError:
    return BundleError(f"{path.name} cannot be written", reason="not_writable")
