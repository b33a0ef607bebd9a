"""Plays the course through the virtual devices, at the pace at which the device takes it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_twin_adapters.ble.source import BleSource
from edge_twin_adapters.ble.virtual import VirtualPeripheral, VirtualStrap, VirtualThermometer
from edge_twin_adapters.fhir import anc_observation, steps_observation
from edge_twin_app.demonstration.clock import CourseClock
from edge_twin_app.demonstration.patient import Deed, Moment
from edge_twin_app.device import Device

PATIENCE_SECONDS = 20.0  # for one hand-over; what has not arrived by then is lost and stays visible as such


@dataclass
class Player:
    """The patient's hands.

    Attributes:
        clock: of the course.
        device: that receives.
        strap, thermometer: virtual peers.
        on_moment: called after each moment, for a progress bar.
    """

    clock: CourseClock
    device: Device
    strap: VirtualStrap
    thermometer: VirtualThermometer
    on_moment: Callable[[Moment], None]

    async def play(self, moments: Sequence[Moment]) -> None:
        """Play the moments in order, then end the device's sources."""
        await self.thermometer.put_on()
        await _within(self.thermometer.subscribed())
        for moment in moments:
            self.clock.jump_to(moment.time)
            await self._deeds[moment.deed](self, moment)
            await self.device.runtime.settled()
            self.on_moment(moment)
        await self.device.end_sources()

    async def _wear(self, moment: Moment) -> None:
        if moment.window is None:
            return
        source = self.device.sensors["chest_strap"]
        await _put_on(self.strap)
        before = source.counters.notifications
        sent = 0
        for beats in _handfuls(moment.window.recording.rr_ms):
            sent += await self.strap.beats(beats, pace=self.clock.pace)
            await self._arrived(source, before + sent)

    async def _take_off(self, _: Moment) -> None:
        await self.strap.take_off()

    async def _temperature(self, moment: Moment) -> None:
        source = self.device.sensors["thermometer"]
        before = source.counters.notifications
        sent = await self.thermometer.measure(moment.value)
        await self._arrived(source, before + sent)

    async def _count(self, moment: Moment) -> None:
        await self._file(moment, anc_observation(moment.value, moment.time, record=_record(moment)))

    async def _steps(self, moment: Moment) -> None:
        await self._file(moment, steps_observation(moment.value, moment.time, record=_record(moment)))

    async def _file(self, moment: Moment, resource: dict[str, Any]) -> None:
        """Write and rename, so that the reader never meets half a file."""
        folder = self.device.settings.intake
        before = self.device.intake.files_read
        unfinished = folder / f"{_record(moment)}.part"
        unfinished.write_text(json.dumps(resource), encoding="utf-8")
        unfinished.replace(Path(unfinished).with_suffix(".json"))
        await _until(lambda: self.device.intake.files_read > before)

    async def _arrived(self, source: BleSource, notifications: int) -> None:
        """Wait until the frames reached the runtime's queue, so that each bears its own time."""
        await _until(lambda: source.counters.notifications >= notifications and source.pending == 0)

    _deeds = {  # noqa: RUF012 - a table of methods, never written to
        Deed.WEAR: _wear,
        Deed.TAKE_OFF: _take_off,
        Deed.TEMPERATURE: _temperature,
        Deed.COUNT: _count,
        Deed.STEPS: _steps,
    }


async def _put_on(strap: VirtualPeripheral) -> None:
    if not strap.is_subscribed:
        await strap.put_on()
        await _within(strap.subscribed())


def _handfuls(rr_ms: Sequence[int], size: int = 9) -> list[Sequence[int]]:
    """As many beats as fit into one notification."""
    return [rr_ms[first : first + size] for first in range(0, len(rr_ms), size)]


def _record(moment: Moment) -> str:
    return f"{moment.deed}-{moment.time:%Y%m%dT%H%M}"


async def _within(waiting: Any) -> None:  # noqa: ANN401 - any awaitable
    await asyncio.wait_for(waiting, PATIENCE_SECONDS)


async def _until(holds: Callable[[], bool]) -> None:
    """Give way to the other tasks until the condition holds or patience ends."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    # The counters of the code under play raise no event that could be awaited.
    while not holds() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0)
