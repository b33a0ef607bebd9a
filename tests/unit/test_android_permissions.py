"""Permissions and scan limits of Android, against a stand-in for the phone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from edge_twin_adapters.ble import android_permissions as android
from edge_twin_adapters.ble.android_permissions import Question, ScanBudget, obtain, questions
from edge_twin_adapters.errors import AdapterError

LOCATION = "LOCATION"


class Phone:
    """Answers dialogues: what its owner refuses is refused."""

    def __init__(self, *, granted: Sequence[str] = (), refuses: Sequence[str] = (), silent: Sequence[str] = ()) -> None:
        self.has = set(granted)
        self.refuses = set(refuses)
        self.silent = set(silent)
        self.dialogues: list[tuple[str, ...]] = []

    def granted(self, permission: str) -> bool:
        return permission in self.has

    async def ask(self, permissions: Sequence[str]) -> Mapping[str, bool]:
        self.dialogues.append(tuple(permissions))
        await asyncio.sleep(0)
        self.has |= {permission for permission in permissions if permission not in self.refuses | self.silent}
        return {permission: permission in self.has for permission in permissions if permission not in self.silent}


@pytest.mark.parametrize(
    ("api_level", "background", "dialogues"),
    [
        (22, True, []),
        (23, False, [(android.FINE_LOCATION,)]),
        (28, True, [(android.FINE_LOCATION,)]),
        (29, False, [(android.FINE_LOCATION,)]),
        (30, True, [(android.FINE_LOCATION,), (android.BACKGROUND_LOCATION,)]),
        (31, True, [(android.SCAN, android.CONNECT)]),
        (33, False, [(android.SCAN, android.CONNECT)]),
        (34, True, [(android.SCAN, android.CONNECT), (android.POST_NOTIFICATIONS,)]),
    ],
)
async def test_each_api_level_is_asked_what_it_needs_and_bluetooth_comes_first(
    api_level: int, *, background: bool, dialogues: list[tuple[str, ...]]
) -> None:
    phone = Phone()
    assert await obtain(phone, questions(api_level, background=background)) == ()
    assert phone.dialogues == dialogues


@pytest.mark.parametrize("api_level", range(31, 37))
def test_from_android_12_on_nobody_is_asked_for_the_location(api_level: int) -> None:
    asked = {name for question in questions(api_level, background=True) for name in question.permissions}
    assert not {name for name in asked if LOCATION in name}


@pytest.mark.parametrize("api_level", range(1, 37))
def test_whatever_is_asked_is_declared_for_that_api_level(api_level: int) -> None:
    declared = {line.name for line in android.manifest() if line.max_sdk is None or line.max_sdk >= api_level}
    asked = {name for question in questions(api_level, background=True) for name in question.permissions}
    assert asked <= declared


def test_the_scan_is_declared_as_never_for_location() -> None:
    flags = {line.name: line.flags for line in android.manifest()}
    assert flags[android.SCAN] == "neverForLocation"
    assert all(line.max_sdk == 30 for line in android.manifest() if LOCATION in line.name)


async def test_what_is_granted_is_not_asked_again() -> None:
    phone = Phone(granted=[android.CONNECT])
    await obtain(phone, questions(34, background=False))
    assert phone.dialogues == [(android.SCAN,)]


@pytest.mark.parametrize("refused", [android.SCAN, android.CONNECT])
async def test_one_refusal_of_two_is_a_refusal(refused: str) -> None:
    phone = Phone(refuses=[refused])
    with pytest.raises(AdapterError, match=refused) as denied:
        await obtain(phone, questions(34, background=True))
    assert denied.value.reason == "permission_denied"
    assert len(phone.dialogues) == 1


async def test_a_dialogue_that_was_dismissed_is_a_refusal() -> None:
    with pytest.raises(AdapterError) as denied:
        await obtain(Phone(silent=[android.SCAN]), questions(34, background=False))
    assert denied.value.reason == "permission_denied"


async def test_a_refused_notification_is_told_and_stops_nothing() -> None:
    phone = Phone(refuses=[android.POST_NOTIFICATIONS])
    assert await obtain(phone, questions(34, background=True)) == (android.POST_NOTIFICATIONS,)


async def test_a_required_refusal_keeps_later_questions_away() -> None:
    phone = Phone(refuses=["A"])
    with pytest.raises(AdapterError):
        await obtain(phone, (Question(("A",)), Question(("B",))))
    assert phone.dialogues == [("A",)]


def test_there_is_no_api_level_zero() -> None:
    with pytest.raises(AdapterError) as wrong:
        questions(0, background=False)
    assert wrong.value.reason == "out_of_range"


@pytest.mark.parametrize(
    ("api_level", "kind", "needed"),
    [(25, None, False), (26, None, True), (29, "connectedDevice", True), (34, "connectedDevice", True)],
)
def test_the_service_that_reads_off_screen(api_level: int, kind: str | None, *, needed: bool) -> None:
    assert android.foreground_service_type(api_level) == kind
    assert android.needs_foreground_service(api_level) is needed


# --- scans -----------------------------------------------------------------------------------------


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_no_window_of_thirty_seconds_sees_a_sixth_start() -> None:
    time = Time()
    budget = ScanBudget(time.clock, time.sleep)
    starts: list[float] = []
    for step in range(40):
        time.now += 0.5 * (step % 7)
        await budget.take()
        starts.append(time.now)
    assert all(later - earlier > 30.0 for earlier, later in zip(starts, starts[5:], strict=False))
    # It waits no longer than it must: the first five at once, and the next as soon as the window has passed.
    assert starts[4] - starts[0] == pytest.approx(0.5 * (1 + 2 + 3 + 4))
    assert starts[5] - starts[0] == pytest.approx(android.SCAN_PERIOD_S)


async def test_scans_that_wait_at_once_share_the_budget() -> None:
    time = Time()
    budget = ScanBudget(time.clock, time.sleep)
    starts: list[float] = []

    async def scan() -> None:
        await budget.take()
        starts.append(time.now)

    await asyncio.gather(*(scan() for _ in range(7)))
    assert starts == [1000.0] * 5 + [pytest.approx(1030.5)] * 2


async def test_a_scanner_that_gave_up_waiting_used_nothing() -> None:
    time = Time()
    budget = ScanBudget(time.clock)
    for _ in range(5):
        await budget.take()
    waiting = asyncio.ensure_future(budget.take())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    time.now += android.SCAN_PERIOD_S
    assert budget.wait_s() == 0.0
