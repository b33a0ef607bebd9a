"""Installed models of a device: verify, self-test, switch, watch, commit or roll back.

The way of a new version: the archive is verified; each engine that its manifest lists and that this device has must
reproduce the golden vectors; the archive is laid beside the others; ``current.json`` is replaced, and from that instant
the new version is active, on trial. Each start is counted before the bundle is loaded and the count is cleared when the
caller reports health; enough reports commit the version and raise the floor below which nothing is installed. Too many
starts without health end the trial: the last committed version takes over and the crashing content is quarantined.

A rollback on the device is always possible, to the version that was committed last. Installing something older from
outside needs a grant, signed with a trusted key for this very step.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from edge_twin.bundle import Bundle, open_bundle
from edge_twin.ed25519 import SIGNATURE_BYTES
from edge_twin.errors import BundleError
from edge_twin.manifest import Reader
from edge_twin.self_test import EngineResult, self_test
from edge_twin.signing import GRANT_TYPE, SigningKey, TrustedKeys
from edge_twin.slots import Slot, SlotFolder, State

_LOG = logging.getLogger(__name__)

GRANT_SCHEMA = "edge-twin.rollback-grant/1"
MAX_GRANT_BYTES = 10_000
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Policy:
    """When a version is trusted or given up.

    Attributes:
        max_starts: starts without a report of health after which a version counts as crashing (assumed).
        commit_after: reports of health that commit a version (assumed).
    """

    max_starts: int = 3
    commit_after: int = 1


@dataclass(frozen=True, slots=True)
class RollbackGrant:
    """Leave to install an older version, for one step of one model.

    Attributes:
        id, version, digest: what may be installed.
        floor: the version of the floor below which it lies; the grant is void once the floor has moved.
        expires: aware UTC.
    """

    id: str
    version: int
    digest: str
    floor: int
    expires: datetime

    def signed(self, key: SigningKey) -> bytes:
        """Signature (64 bytes) and body, as a device reads it."""
        fields = {"id": self.id, "version": self.version, "digest": self.digest, "floor": self.floor}
        body = json.dumps({"schema": GRANT_SCHEMA, **fields, "expires": self.expires.isoformat()}).encode()
        return key.sign(GRANT_TYPE, body) + body


def open_grant(content: bytes, trusted: TrustedKeys) -> RollbackGrant:
    """Verify a grant, then read it.

    Raises:
        BundleError: the reasons of ``TrustedKeys.signer``; ``grant_malformed``.
    """
    signature, body = content[:SIGNATURE_BYTES], content[SIGNATURE_BYTES:MAX_GRANT_BYTES]
    trusted.signer(GRANT_TYPE, body, signature)
    try:
        reader = Reader(json.loads(body))
        reader.choice("schema", (GRANT_SCHEMA,))
        numbers = reader.whole("version"), reader.text("digest"), reader.whole("floor")
        return RollbackGrant(reader.text("id"), *numbers, reader.time("expires"))
    except (ValueError, AttributeError, RecursionError, BundleError) as error:
        raise BundleError("the grant cannot be read", reason="grant_malformed") from error


@dataclass(frozen=True, slots=True)
class Installation:
    """What an installation did.

    Attributes:
        bundle: now active.
        engines: see ``EngineResult``.
        changed: False when this very content was active already.
    """

    bundle: Bundle
    engines: tuple[EngineResult, ...]
    changed: bool


class InstalledModels:
    """The models in a folder of the device.

    Args:
        root: holds a folder for each model.
        trusted: keys whose signature counts.
        clock: aware UTC; decides on expiry when something is installed.
        policy: see its type.
    """

    def __init__(
        self, root: Path, trusted: TrustedKeys, clock: Callable[[], datetime], policy: Policy | None = None
    ) -> None:
        self._root = root
        self._trusted = trusted
        self._clock = clock
        self._policy = policy or Policy()

    def names(self) -> tuple[str, ...]:
        """Models of which a version is installed, sorted."""
        if not self._root.is_dir():
            return ()
        return tuple(sorted(path.parent.name for path in self._root.glob("*/current.json")))

    def state(self, name: str) -> State:
        """Versions of a model.

        Raises:
            BundleError: ``not_installed``, ``state_unreadable``.
        """
        state = self._folder(name).state()
        if state is None:
            raise BundleError(f"no version of {name} is installed", reason="not_installed")
        return state

    def open(self, name: str) -> Bundle:
        """The active version, verified again, without counting a start: for looking at it.

        Raises:
            BundleError: ``not_installed``, ``state_unreadable``, or whatever ``open_bundle`` refuses.
        """
        return self._opened(self._folder(name), name, self.state(name).active)

    def archive(self, name: str) -> bytes:
        """The bytes of the active version as they lie on the disk, not verified.

        Raises:
            BundleError: ``not_installed``, ``state_unreadable``, ``missing_file``, ``unreadable_file``.
        """
        return self._folder(name).archive(self.state(name).active)

    def verify(self, content: bytes) -> Bundle:
        """An archive as an installation would verify it, before its self-test.

        Raises:
            BundleError: whatever ``open_bundle`` refuses; ``bundle_expired``.
        """
        return open_bundle(content, self._trusted, self._clock())

    def install(self, content: bytes, grant: bytes | None = None) -> Installation:
        """Make an archive the active version of its model, on trial.

        Args:
            content: signed archive.
            grant: signed leave to go below the floor, see ``RollbackGrant``.

        Raises:
            BundleError: whatever ``open_bundle`` and ``self_test`` refuse; ``bundle_expired``, ``name_refused``,
                ``quarantined``, ``downgraded``, ``version_reused``, ``grant_refused`` and the reasons of
                ``open_grant``; ``not_writable``. The version that was active stays active.
        """
        bundle = self.verify(content)
        folder = self._folder(bundle.id)
        with folder.locked():
            state, slot = folder.state(), Slot(bundle.version, bundle.digest)
            if state:
                self._refuse_version(state, bundle, grant)
            engines = self_test(bundle)
            folder.write_archive(slot, content)
            if state and state.active == slot:
                _forgive(folder, state)
                return Installation(bundle, engines, changed=False)
            following = replace(state, active=slot, starts=0, healthy=0) if state else State(slot)
            folder.write_state(following)
            folder.sweep(following)
        _LOG.info("bundle %s version %d is active, on trial", bundle.id, bundle.version)
        return Installation(bundle, engines, changed=True)

    def start(self, name: str) -> Bundle:
        """The active version for a run; the start is on record before the bundle is touched.

        Rolls back by itself when the version crashed too often or its archive is damaged.

        Raises:
            BundleError: ``not_installed``, ``state_unreadable``, ``not_writable``; ``crash_loop`` or the reason of the
                refusal when there is nothing to roll back to.
        """
        folder = self._folder(name)
        with folder.locked():
            state = self.state(name)
            if state.starts >= self._policy.max_starts:
                state = self._ended_trial(folder, name, state)
            state = replace(state, starts=state.starts + 1)
            folder.write_state(state)
            try:
                return self._opened(folder, name, state.active)
            except BundleError as error:
                return self._opened_fallback(folder, name, state, error)

    def healthy(self, name: str, *, used: bool = True) -> bool:
        """Report that the active version works; whether it has just been committed.

        Args:
            name: of the model.
            used: whether it gave an answer; a run that had nothing to ask it clears the starts and commits nothing.

        Raises:
            BundleError: ``not_installed``, ``state_unreadable``, ``not_writable``.
        """
        folder = self._folder(name)
        with folder.locked():
            state = self.state(name)
            reports = state.healthy + used if state.on_trial else 0
            commits = used and state.on_trial and reports >= self._policy.commit_after
            following = _committed(state) if commits else replace(state, starts=0, healthy=reports)
            if following != state:
                folder.write_state(following)
                folder.sweep(following)
        return commits

    def rollback(self, name: str) -> Slot:
        """Go back to the version that was committed last; always allowed.

        Raises:
            BundleError: ``not_installed``, ``state_unreadable``, ``nothing_to_roll_back_to``, or whatever
                ``open_bundle`` refuses about the older version; then nothing changes.
        """
        folder = self._folder(name)
        with folder.locked():
            state = self.state(name)
            if state.fallback is None:
                raise BundleError(f"there is no older version of {name}", reason="nothing_to_roll_back_to")
            self._opened(folder, name, state.fallback)
            following = _rolled_back(state)
            folder.write_state(following)
            folder.sweep(following)
        return following.active

    def _folder(self, name: str) -> SlotFolder:
        if not _NAME.fullmatch(name):
            raise BundleError(f"{name[:64]!r} cannot be the name of a model", reason="name_refused")
        return SlotFolder(self._root / name)

    def _opened(self, folder: SlotFolder, name: str, slot: Slot) -> Bundle:
        """A version from the disk, verified again: its bytes may have changed since, or its key been withdrawn."""
        bundle = open_bundle(folder.archive(slot), self._trusted)
        if (bundle.id, bundle.version, bundle.digest) != (name, slot.version, slot.digest):
            raise BundleError(f"version {slot.version} of {name} is another bundle", reason="slot_mismatch")
        return bundle

    def _refuse_version(self, state: State, bundle: Bundle, grant: bytes | None) -> None:
        if bundle.digest in state.quarantined:
            raise BundleError("this very content crashed before", reason="quarantined")
        named = [slot for slot in (state.active, state.committed, state.previous, state.floor) if slot]
        if any(slot.version == bundle.version and slot.digest != bundle.digest for slot in named):
            raise BundleError(f"version {bundle.version} is another content already", reason="version_reused")
        if state.floor is None or bundle.version >= state.floor.version:
            return
        if grant is None:
            raise BundleError(f"version {bundle.version} is below {state.floor.version}", reason="downgraded")
        if not self._grants(open_grant(grant, self._trusted), bundle, state.floor):
            raise BundleError("the grant is for another step or has expired", reason="grant_refused")

    def _grants(self, grant: RollbackGrant, bundle: Bundle, floor: Slot) -> bool:
        meant = (grant.id, grant.version, grant.digest, grant.floor)
        return meant == (bundle.id, bundle.version, bundle.digest, floor.version) and self._clock() < grant.expires

    def _ended_trial(self, folder: SlotFolder, name: str, state: State) -> State:
        if state.fallback is None:
            raise BundleError(f"{name} crashed {state.starts} times at its start", reason="crash_loop")
        quarantined = (*(d for d in state.quarantined if d != state.active.digest), state.active.digest)
        following = replace(_rolled_back(state), quarantined=quarantined)
        folder.write_state(following)
        _LOG.error("bundle %s version %d crashed too often: rolled back", name, state.active.version)
        return following

    def _opened_fallback(self, folder: SlotFolder, name: str, state: State, error: BundleError) -> Bundle:
        if state.fallback is None:
            raise error
        bundle = self._opened(folder, name, state.fallback)
        folder.write_state(replace(_rolled_back(state), starts=1))
        _LOG.error("bundle %s version %d: %s: rolled back", name, state.active.version, error)
        return bundle


def _forgive(folder: SlotFolder, state: State) -> None:
    """Installing the same again mends its archive and gives a version that crashed its starts back."""
    if state.starts:
        folder.write_state(replace(state, starts=0))


def _committed(state: State) -> State:
    floor = state.active if state.floor is None or state.active.version > state.floor.version else state.floor
    previous = state.committed or state.previous
    return replace(state, committed=state.active, previous=previous, floor=floor, starts=0, healthy=0)


def _rolled_back(state: State) -> State:
    """The fallback is active and committed; the floor stays where it is."""
    fallback = state.fallback
    if fallback is None:
        raise BundleError("there is no older version", reason="nothing_to_roll_back_to")
    previous = state.previous if state.on_trial else None
    return replace(state, active=fallback, committed=fallback, previous=previous, starts=0, healthy=0)
