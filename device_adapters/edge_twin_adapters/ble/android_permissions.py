"""What Android wants before an app may use Bluetooth LE, by API level, without any Android in it.

Sources: published manifests that follow Android's page "Bluetooth permissions", and bleak's own Android backends; what
they leave open (services off screen, the order of the two locations) is as Android is known to do it [U]. None of it
was run on a phone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_twin_adapters.errors import AdapterError

SCAN = "android.permission.BLUETOOTH_SCAN"
CONNECT = "android.permission.BLUETOOTH_CONNECT"
FINE_LOCATION = "android.permission.ACCESS_FINE_LOCATION"
BACKGROUND_LOCATION = "android.permission.ACCESS_BACKGROUND_LOCATION"
POST_NOTIFICATIONS = "android.permission.POST_NOTIFICATIONS"

# API levels at which the rules change.
_RUNTIME_PERMISSIONS = 23  # Android 6
_FOREGROUND_SERVICES = 26  # Android 8: services of apps off screen are stopped
_BACKGROUND_LOCATION = 29  # Android 10; the type of a foreground service is known from here on
_NEARBY_DEVICES = 31  # Android 12
_NOTIFICATIONS = 33  # Android 13
_LAST_WITH_LOCATION = _NEARBY_DEVICES - 1

FOREGROUND_SERVICE_TYPE = "connectedDevice"

# Android ignores, without a word before API level 33, a scan that is the sixth to start within 30 s; bleak adds
# half a second.
SCAN_STARTS = 5
SCAN_PERIOD_S = 30.5


@dataclass(frozen=True, slots=True)
class Declaration:
    """A line of the app's manifest.

    Attributes:
        name: of the permission.
        flags: ``usesPermissionFlags``, or an empty text.
        max_sdk: last API level at which it is declared, or None.
    """

    name: str
    flags: str = ""
    max_sdk: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One dialogue for the person who holds the phone.

    Attributes:
        permissions: asked together.
        required: without all of them there is no Bluetooth; else a refusal is only a loss of comfort.
    """

    permissions: tuple[str, ...]
    required: bool = True


def manifest() -> tuple[Declaration, ...]:
    """What the app declares, one manifest for all API levels.

    The scan is declared as never used for location. Android then hides some beacons from it, none of which is a
    health sensor, and from Android 12 on asks nobody for the location.
    """
    return (
        Declaration(SCAN, flags="neverForLocation"),
        Declaration(CONNECT),
        Declaration("android.permission.BLUETOOTH", max_sdk=_LAST_WITH_LOCATION),
        Declaration("android.permission.BLUETOOTH_ADMIN", max_sdk=_LAST_WITH_LOCATION),
        Declaration(FINE_LOCATION, max_sdk=_LAST_WITH_LOCATION),
        Declaration(BACKGROUND_LOCATION, max_sdk=_LAST_WITH_LOCATION),
        Declaration("android.permission.FOREGROUND_SERVICE"),
        Declaration("android.permission.FOREGROUND_SERVICE_CONNECTED_DEVICE"),
        Declaration(POST_NOTIFICATIONS),
    )


def questions(api_level: int, *, background: bool) -> tuple[Question, ...]:
    """What to ask, in this order; each only after the one before was answered.

    Args:
        api_level: of the phone.
        background: whether sensors are read while the app is not on the screen. The location in the background
            may be asked only once that in the foreground is granted.

    Raises:
        AdapterError: ``out_of_range`` for an API level below 1.
    """
    if api_level < 1:
        raise AdapterError(f"there is no API level {api_level}", reason="out_of_range")
    return (*_bluetooth(api_level, background=background), *_comfort(api_level, background=background))


def _bluetooth(api_level: int, *, background: bool) -> tuple[Question, ...]:
    if api_level >= _NEARBY_DEVICES:
        return (Question((SCAN, CONNECT)),)
    if api_level < _RUNTIME_PERMISSIONS:
        return ()
    where = Question((FINE_LOCATION,))
    if background and api_level >= _BACKGROUND_LOCATION:
        return (where, Question((BACKGROUND_LOCATION,)))
    return (where,)


def _comfort(api_level: int, *, background: bool) -> tuple[Question, ...]:
    """Without the notification the service runs all the same, but nobody sees that it does."""
    if background and api_level >= _NOTIFICATIONS:
        return (Question((POST_NOTIFICATIONS,), required=False),)
    return ()


def foreground_service_type(api_level: int) -> str | None:
    """The type with which the service that reads sensors starts; None where the phone knows no types."""
    return FOREGROUND_SERVICE_TYPE if api_level >= _BACKGROUND_LOCATION else None


def needs_foreground_service(api_level: int) -> bool:
    """Whether sensors can be read off screen only by a foreground service."""
    return api_level >= _FOREGROUND_SERVICES


class PermissionDialogue(Protocol):
    """What the phone offers; the app supplies it."""

    def granted(self, permission: str) -> bool:
        """Whether the app has the permission now."""

    async def ask(self, permissions: Sequence[str]) -> Mapping[str, bool]:
        """Show one dialogue and wait for the answer: which of them were granted."""


async def obtain(dialogue: PermissionDialogue, plan: Sequence[Question]) -> tuple[str, ...]:
    """Ask for what is missing: the permissions that were refused although the app works without them.

    A permission that the answer does not mention counts as refused.

    Raises:
        AdapterError: ``permission_denied`` for a required one; the message names those refused. Nothing is asked
            after it.
    """
    refused: list[str] = []
    for question in plan:
        denied = await _denied(dialogue, question)
        if denied and question.required:
            message = f"Bluetooth needs the permission {', '.join(denied)}, which was refused"
            raise AdapterError(message, reason="permission_denied")
        refused += denied
    return tuple(refused)


async def _denied(dialogue: PermissionDialogue, question: Question) -> list[str]:
    missing = [permission for permission in question.permissions if not dialogue.granted(permission)]
    if not missing:
        return []
    answer = await dialogue.ask(missing)
    return [permission for permission in missing if not answer.get(permission, False)]


class ScanBudget:
    """Keeps scans from starting more often than Android lets them.

    One for each app: Android counts the app's scans, whoever starts them.

    Args:
        clock: seconds, monotonic.
        sleep: waits.
    """

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._starts: deque[float] = deque(maxlen=SCAN_STARTS)
        self._turn = asyncio.Lock()

    def wait_s(self) -> float:
        """How long the next scan has to wait now."""
        if len(self._starts) < SCAN_STARTS:
            return 0.0
        return max(0.0, self._starts[0] + SCAN_PERIOD_S - self._clock())

    async def take(self) -> None:
        """Wait until a scan may start, and count it as started."""
        async with self._turn:
            while (wait := self.wait_s()) > 0.0:
                await self._sleep(wait)
            self._starts.append(self._clock())
