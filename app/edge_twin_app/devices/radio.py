"""The radio that a command uses: the platform's own, or one inside this process with virtual sensors on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime

from bleak import BleakScanner
from bleak.exc import BleakError

from edge_twin_adapters.ble.backends import BackendFactory, platform_backends
from edge_twin_app.device import system_clock
from edge_twin_app.errors import AppError
from edge_twin_app.settings import Sensor


@dataclass(frozen=True, slots=True)
class Air:
    """A radio that is on.

    Attributes:
        backends: factory of the bleak backends.
        clock: time of reception, aware; simulated on a virtual radio.
        sensors: the virtual sensors on it that can be connected to; none on a real radio.
        virtual: whether it is inside this process.
    """

    backends: BackendFactory = platform_backends
    clock: Callable[[], datetime] = system_clock
    sensors: tuple[Sensor, ...] = ()
    virtual: bool = False


@asynccontextmanager
async def air(*, virtual: bool, speed: float = 1.0, protected: bool = False) -> AsyncIterator[Air]:
    """A radio for the length of a command.

    Args:
        virtual: with virtual sensors, in this process, without hardware.
        speed: simulated seconds in a second, of virtual sensors.
        protected: virtual sensors ask for an encrypted link.

    Raises:
        AppError: ``bluetooth_unavailable``, or ``bumble_missing`` where the virtual radio is not installed.
    """
    if virtual:
        async with _virtual_air(speed, protected=protected) as made:
            yield made
    else:
        await _try_radio()
        yield Air()


@asynccontextmanager
async def _virtual_air(speed: float, *, protected: bool) -> AsyncIterator[Air]:
    try:
        from edge_twin_app.devices.virtual_ward import VirtualWard  # noqa: PLC0415 - Bumble is an optional extra
    except ModuleNotFoundError as error:
        raise AppError("the virtual radio needs the extra 'demo' (Bumble)", reason="bumble_missing") from error
    async with VirtualWard(system_clock(), speed=speed, protected=protected) as ward:
        playing = asyncio.create_task(ward.play())
        try:
            yield Air(ward.backends, ward.now, ward.sensors, virtual=True)
        finally:
            playing.cancel()
            await asyncio.wait({playing})


async def _try_radio() -> None:
    """A source would look for its device for ever on a machine without a radio."""
    with radio_errors():
        async with BleakScanner():
            pass


@contextmanager
def radio_errors() -> Iterator[None]:
    """Turn what a missing, refused or switched-off radio raises into one error.

    Raises:
        AppError: ``bluetooth_unavailable``; ``edge-twin devices doctor`` says more.
    """
    try:
        yield
    except (BleakError, OSError) as error:
        message = f"Bluetooth cannot be used: {error} (see `edge-twin devices doctor`)"
        raise AppError(message, reason="bluetooth_unavailable") from error
