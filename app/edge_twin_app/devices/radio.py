"""The radio that a command uses: the platform's own, or one inside this process with virtual sensors on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from bleak.exc import BleakError

from edge_twin_adapters.ble.backends import BackendFactory, platform_backends
from edge_twin_app.errors import AppError
from edge_twin_app.settings import Sensor


@dataclass(frozen=True, slots=True)
class Air:
    """A radio that is on.

    Attributes:
        backends: factory of the bleak backends.
        sensors: the virtual sensors on it that can be connected to; none on a real radio.
    """

    backends: BackendFactory
    sensors: tuple[Sensor, ...] = ()


@asynccontextmanager
async def air(*, virtual: bool) -> AsyncIterator[Air]:
    """A radio for the length of a command.

    Args:
        virtual: with virtual sensors, in this process, without hardware.

    Raises:
        AppError: ``bumble_missing`` where the virtual radio is not installed.
    """
    if not virtual:
        yield Air(platform_backends)
        return
    async with _virtual_air() as made:
        yield made


@asynccontextmanager
async def _virtual_air() -> AsyncIterator[Air]:
    try:
        from edge_twin_app.devices.virtual_ward import VirtualWard  # noqa: PLC0415 - Bumble is an optional extra
    except ModuleNotFoundError as error:
        raise AppError("the virtual radio needs the extra 'demo' (Bumble)", reason="bumble_missing") from error
    async with VirtualWard() as ward:
        playing = asyncio.create_task(ward.play())
        try:
            yield Air(ward.backends, ward.sensors)
        finally:
            playing.cancel()
            await asyncio.wait({playing})


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
