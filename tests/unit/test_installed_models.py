"""Installed models: what is taken, what is refused, and that a device always keeps a version that runs."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_twin.archive import MANIFEST, SIGNATURE, unpack
from edge_twin.bundle import open_bundle
from edge_twin.errors import BundleError
from edge_twin.installed import InstalledModels, Policy, RollbackGrant
from edge_twin.release import signed_archive
from edge_twin.signing import DEVELOPMENT_TRUST, GRANT_TYPE, PRODUCTION, SigningKey, TrustedKeys
from edge_twin.slots import Slot
from edge_twin_models import bundle_names, bundle_path, development_key

NAME = "neutropenia"
SHIPPED = bundle_path(NAME).read_bytes()
SITE = SigningKey("clinic", bytes(range(32)))
STRANGER = SigningKey("stranger", bytes(range(1, 33)))
TRUSTED = TrustedKeys(PRODUCTION, (SITE.trusted,))
NOW = datetime(2027, 1, 1, tzinfo=UTC)
Files = dict[str, bytes]


@functools.cache
def released(
    version: int, title: str = "as shipped", *, scale: float = 1.0, expires: str = "2028-11-25", engine: str = "numpy"
) -> bytes:
    """The shipped model as another release of a site.

    Args:
        version: of the bundle.
        title: makes another content of the same version.
        scale: of the golden outputs; anything but 1 makes every engine answer wrong.
        expires: ISO date.
        engine: the only one listed.
    """
    files: Files = {name: content for name, content in unpack(SHIPPED).items() if name != SIGNATURE}
    document: dict[str, Any] = json.loads(files.pop(MANIFEST))
    files["golden.npz"] = _scaled(files["golden.npz"], scale)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    document |= {"version": version, "title": title, "engines": [engine], "files": hashes}
    document["expires"] = f"{expires}T00:00:00+00:00"
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {**files, MANIFEST: json.dumps(document).encode()}.items():
            (Path(folder) / name).write_bytes(content)
        return signed_archive(Path(folder), SITE)


def _scaled(golden: bytes, scale: float) -> bytes:
    with np.load(io.BytesIO(golden)) as arrays:
        content = {name: arrays[name] * (scale if name == "output" else 1.0) for name in arrays.files}
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    return buffer.getvalue()


def slot(content: bytes) -> Slot:
    bundle = open_bundle(content, TRUSTED)
    return Slot(bundle.version, bundle.digest)


def device(root: Path, now: datetime = NOW, policy: Policy | None = None) -> InstalledModels:
    return InstalledModels(root, TRUSTED, lambda: now, policy)


def committed(root: Path, *versions: int) -> InstalledModels:
    """A device on which these versions were installed and proved themselves, one after the other."""
    models = device(root)
    for version in versions:
        models.install(released(version))
        models.start(NAME)
        assert models.healthy(NAME)
    return models


def grant(version: int, floor: int, key: SigningKey = SITE, **changes: Any) -> bytes:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {"id": NAME, "version": version, "digest": slot(released(version)).digest, "floor": floor}
    fields |= {"expires": NOW + timedelta(days=1), **changes}
    return RollbackGrant(**fields).signed(key)


def reason(call: Callable[[], object]) -> str:
    with pytest.raises(BundleError) as caught:
        call()
    return caught.value.reason


# --- installing -----------------------------------------------------------------------------------


def test_a_first_installation_is_active_and_on_trial(tmp_path: Path) -> None:
    models = device(tmp_path)
    assert models.names() == ()
    assert reason(lambda: models.state(NAME)) == "not_installed"
    done = models.install(released(1))
    assert done.changed
    assert [(result.engine, result.difference is not None) for result in done.engines] == [("numpy", True)]
    state = models.state(NAME)
    assert (state.active, state.committed, state.floor, state.on_trial) == (slot(released(1)), None, None, True)
    assert models.names() == (NAME,)
    assert models.open(NAME).digest == done.bundle.digest


def test_installing_the_same_again_changes_nothing_and_mends_the_archive(tmp_path: Path) -> None:
    models = committed(tmp_path, 1)
    before = models.state(NAME)
    archive = tmp_path / NAME / "versions" / "1" / "bundle.etb"
    archive.write_bytes(b"rust")
    assert not models.install(released(1)).changed
    assert models.state(NAME) == before
    assert archive.read_bytes() == released(1)


def test_installing_the_same_again_forgives_the_crashes(tmp_path: Path) -> None:
    models = device(tmp_path)
    models.install(released(1))
    for _ in range(Policy().max_starts):
        models.start(NAME)
    assert reason(lambda: models.start(NAME)) == "crash_loop"
    models.install(released(1))
    assert models.start(NAME).version == 1


@pytest.mark.parametrize("name", bundle_names())
def test_every_shipped_bundle_passes_its_self_test(name: str, tmp_path: Path) -> None:
    models = InstalledModels(tmp_path, DEVELOPMENT_TRUST, lambda: NOW)
    results = models.install(bundle_path(name).read_bytes()).engines
    measured = {result.engine: result.difference for result in results}
    assert measured["numpy"] is not None
    assert all(difference is None or difference < 2e-5 for difference in measured.values())
    assert models.start(name).id == name


def test_hz_bundle_04_wrong_answers_are_refused_and_the_old_version_stays(tmp_path: Path) -> None:
    models = committed(tmp_path, 1)
    before = models.state(NAME)
    assert reason(lambda: models.install(released(2, scale=1.02))) == "self_test_failed"
    assert models.state(NAME) == before
    assert models.start(NAME).version == 1


def test_a_bundle_for_another_device_is_refused(tmp_path: Path) -> None:
    assert reason(lambda: device(tmp_path).install(released(1, engine="of_tomorrow"))) == "self_test_failed"
    assert device(tmp_path).names() == ()


def test_an_expired_bundle_is_not_installed_but_keeps_running(tmp_path: Path) -> None:
    content = released(1, expires="2027-02-01")
    device(tmp_path).install(content)
    later = device(tmp_path, NOW + timedelta(days=60))
    assert reason(lambda: later.install(released(2, expires="2027-02-01"))) == "bundle_expired"
    assert later.start(NAME).digest == slot(content).digest


def test_an_installation_in_production_refuses_the_development_key(tmp_path: Path) -> None:
    assert reason(lambda: device(tmp_path).install(SHIPPED)) == "development_key"
    assert reason(lambda: TrustedKeys(PRODUCTION, (development_key().trusted,))) == "development_key"
    assert device(tmp_path).names() == ()


def test_a_withdrawn_key_stops_what_it_signed(tmp_path: Path) -> None:
    committed(tmp_path, 1)
    models = InstalledModels(tmp_path, TrustedKeys(PRODUCTION, (STRANGER.trusted,)), lambda: NOW)
    assert reason(lambda: models.start(NAME)) == "signature_invalid"


@pytest.mark.parametrize("name", ["", "../up", "A", "a/b", "a" * 65, ".lock"])
def test_a_name_that_leaves_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    assert reason(lambda: device(tmp_path).start(name)) == "name_refused"


# --- versions -------------------------------------------------------------------------------------


def test_health_commits_and_raises_the_floor(tmp_path: Path) -> None:
    models = committed(tmp_path, 1, 2)
    state = models.state(NAME)
    assert (state.active, state.committed, state.previous) == (*[slot(released(2))] * 2, slot(released(1)))
    assert state.floor == slot(released(2))
    assert not models.healthy(NAME)
    assert models.state(NAME).starts == 0


def test_a_longer_trial_needs_more_reports(tmp_path: Path) -> None:
    models = device(tmp_path, policy=Policy(commit_after=2))
    models.install(released(1))
    assert not models.healthy(NAME)
    assert models.state(NAME).on_trial
    assert models.healthy(NAME)


def test_only_the_named_versions_stay_on_the_disk(tmp_path: Path) -> None:
    committed(tmp_path, 1, 2, 3, 4)
    assert {path.name for path in (tmp_path / NAME / "versions").iterdir()} == {"3", "4"}


def test_hz_bundle_03_something_older_is_refused_without_a_grant(tmp_path: Path) -> None:
    models = committed(tmp_path, 1, 3)
    assert reason(lambda: models.install(released(2))) == "downgraded"
    assert models.state(NAME).active == slot(released(3))


def test_the_same_version_with_another_content_is_refused(tmp_path: Path) -> None:
    models = committed(tmp_path, 1)
    assert reason(lambda: models.install(released(1, "another"))) == "version_reused"


def test_a_version_that_was_never_committed_raises_no_floor(tmp_path: Path) -> None:
    models = committed(tmp_path, 1)
    models.install(released(9))
    models.install(released(2))
    assert models.state(NAME).active == slot(released(2))


def test_a_signed_grant_lets_one_older_version_in_and_the_floor_stays(tmp_path: Path) -> None:
    models = committed(tmp_path, 1, 3)
    assert models.install(released(2), grant(2, floor=3)).changed
    assert models.healthy(NAME)
    state = models.state(NAME)
    assert (state.active, state.floor) == (slot(released(2)), slot(released(3)))
    assert reason(lambda: models.install(released(1))) == "downgraded"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": "aml"}, "grant_refused"),
        ({"version": 1}, "grant_refused"),
        ({"digest": "0" * 64}, "grant_refused"),
        ({"floor": 2}, "grant_refused"),
        ({"expires": NOW}, "grant_refused"),
        ({"key": STRANGER}, "signature_invalid"),
    ],
)
def test_a_grant_for_another_step_is_void(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    models = committed(tmp_path, 1, 3)
    leave = grant(**{"version": 2, "floor": 3, **changes})
    assert reason(lambda: models.install(released(2), leave)) == expected
    assert models.state(NAME).active == slot(released(3))


@pytest.mark.parametrize("content", [b"", b"x" * 64, b"x" * 200])
def test_a_grant_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    models = committed(tmp_path, 3)
    assert reason(lambda: models.install(released(2), content)) in {"signature_malformed", "signature_invalid"}


def test_a_signed_text_that_is_no_grant_is_refused(tmp_path: Path) -> None:
    models = committed(tmp_path, 3)
    body = b'{"schema": "edge-twin.rollback-grant/1"}'
    leave = SITE.sign(GRANT_TYPE, body) + body
    assert reason(lambda: models.install(released(2), leave)) == "grant_malformed"


# --- going back -----------------------------------------------------------------------------------


def test_a_rollback_goes_to_what_was_committed_last(tmp_path: Path) -> None:
    models = committed(tmp_path, 1, 2)
    models.install(released(3))
    assert models.rollback(NAME) == slot(released(2))
    assert models.rollback(NAME) == slot(released(1))
    assert models.start(NAME).version == 1
    assert models.state(NAME).floor == slot(released(2))
    assert reason(lambda: models.rollback(NAME)) == "nothing_to_roll_back_to"


def test_a_rollback_to_a_damaged_version_changes_nothing(tmp_path: Path) -> None:
    models = committed(tmp_path, 1, 2)
    (tmp_path / NAME / "versions" / "1" / "bundle.etb").unlink()
    assert reason(lambda: models.rollback(NAME)) == "missing_file"
    assert models.start(NAME).version == 2


def test_hz_bundle_05_a_crash_loop_ends_on_the_last_committed_version(tmp_path: Path) -> None:
    models = committed(tmp_path, 1)
    models.install(released(2))
    assert [models.start(NAME).version for _ in range(5)] == [2, 2, 2, 1, 1]
    state = models.state(NAME)
    assert state.quarantined == (slot(released(2)).digest,)
    assert (state.active, state.on_trial) == (slot(released(1)), False)
    assert reason(lambda: models.install(released(2))) == "quarantined"
    assert models.install(released(2, "mended")).changed


def test_a_crash_loop_of_the_only_version_is_named(tmp_path: Path) -> None:
    models = device(tmp_path)
    models.install(released(1))
    assert [models.start(NAME).version for _ in range(3)] == [1, 1, 1]
    assert reason(lambda: models.start(NAME)) == "crash_loop"


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [b"", b"rust", released(1), released(2)[:-1]])
def test_hz_bundle_06_a_damaged_version_gives_way_to_the_one_before(damage: bytes, tmp_path: Path) -> None:
    models = committed(tmp_path, 1, 2)
    (tmp_path / NAME / "versions" / "2" / "bundle.etb").write_bytes(damage)
    assert models.start(NAME).version == 1
    assert models.state(NAME).active == slot(released(1))


def test_damage_without_anything_older_is_named(tmp_path: Path) -> None:
    models = committed(tmp_path, 1)
    archive = tmp_path / NAME / "versions" / "1" / "bundle.etb"
    archive.write_bytes(released(1)[:-1])
    assert reason(lambda: models.start(NAME)) not in {"not_installed", "state_unreadable"}
    archive.unlink()
    assert reason(lambda: models.start(NAME)) == "missing_file"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"schema": "edge-twin.installed/2"}', b"[" * 100_000],
)
def test_a_damaged_state_is_named_and_guessed_by_nobody(content: bytes, tmp_path: Path) -> None:
    models = committed(tmp_path, 1)
    (tmp_path / NAME / "current.json").write_bytes(content)
    for call in (models.start, models.open, models.state, models.healthy, models.rollback):
        assert reason(functools.partial(call, NAME)) == "state_unreadable"
    assert reason(lambda: models.install(released(2))) == "state_unreadable"
    assert models.names() == (NAME,)


def test_a_state_survives_its_file(tmp_path: Path) -> None:
    models = committed(tmp_path, 1)
    models.install(released(2))
    for _ in range(4):
        models.start(NAME)
    state = models.state(NAME)
    assert type(state).from_json(json.loads(json.dumps(state.as_json()))) == state


# --- a power cut at any write ---------------------------------------------------------------------


class PowerCut(BaseException):
    """Not an Exception: nothing may catch it, as nothing catches a power cut."""


def cut_at(monkeypatch: pytest.MonkeyPatch, call: str, count: int, *, after: bool) -> Callable[[], bool]:
    """Raise at the ``count``-th ``os`` call, before or after it is done; tells whether it came to that."""
    genuine, made = getattr(os, call), [0]

    def counted(*arguments: Any) -> Any:  # noqa: ANN401 - whatever os takes
        made[0] += 1
        if made[0] == count and not after:
            raise PowerCut
        result = genuine(*arguments)
        if made[0] == count:
            raise PowerCut
        return result

    monkeypatch.setattr(os, call, counted)
    return lambda: made[0] >= count


def install(models: InstalledModels) -> None:
    models.install(released(3))
    assert models.state(NAME).active == slot(released(3))


def commit(models: InstalledModels) -> None:
    models.healthy(NAME)
    assert not models.state(NAME).on_trial


def roll_back(models: InstalledModels) -> None:
    if models.state(NAME).active == slot(released(2)):
        models.rollback(NAME)
    assert models.state(NAME).active == slot(released(1))


def starts(models: InstalledModels) -> None:
    models.start(NAME)


@pytest.mark.parametrize("action", [install, commit, roll_back, starts])
@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("after", [False, True])
def test_hz_bundle_07_a_power_cut_leaves_the_old_or_the_new(
    action: Callable[[InstalledModels], None], call: str, *, after: bool, tmp_path: Path
) -> None:
    cuts = 0
    for count in range(1, 20):
        root = tmp_path / str(count)
        models = committed(root, 1)
        models.install(released(2))
        with pytest.MonkeyPatch.context() as patch:
            reached = cut_at(patch, call, count, after=after)
            try:
                action(models)
            except PowerCut:
                cuts += 1
            if not reached():
                break
        active, bundle = device(root).state(NAME).active, device(root).open(NAME)
        assert active in {slot(released(version)) for version in (1, 2, 3)}
        assert (bundle.version, bundle.digest) == (active.version, active.digest)
        action(device(root))
        assert device(root).start(NAME).version == device(root).state(NAME).active.version
    else:
        pytest.fail("the action never came to its end")
    assert cuts >= 1


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("after", [False, True])
def test_a_power_cut_at_the_first_installation_leaves_none_or_all(call: str, *, after: bool, tmp_path: Path) -> None:
    found = set()
    for count in range(1, 20):
        models = device(tmp_path / str(count))
        with pytest.MonkeyPatch.context() as patch:
            reached = cut_at(patch, call, count, after=after)
            try:
                models.install(released(1))
            except PowerCut:
                found.add(models.names())
            if not reached():
                break
        if models.names():
            assert models.open(NAME).version == 1
        models.install(released(1))
        assert models.start(NAME).version == 1
    else:
        pytest.fail("the installation never came to its end")
    assert found
    assert found <= {(), (NAME,)}


def test_a_full_disk_is_named_and_the_old_version_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = committed(tmp_path, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert reason(lambda: models.install(released(2))) == "not_writable"
    assert models.start(NAME).version == 1
