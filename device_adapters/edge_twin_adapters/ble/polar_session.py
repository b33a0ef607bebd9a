"""Starting the measurements of a Polar sensor, and stopping them so that it is not drained.

An H10 streams ECG and acceleration until its battery is empty unless it is told to stop (polar-ble-sdk,
``documentation/KnownIssues.md``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from edge_twin_adapters.ble.polar_control import (
    RESPONSE,
    STOPPED,
    Command,
    Response,
    Setting,
    Settings,
    Status,
    read_response,
    read_settings,
    settings_request,
    start_request,
    stop_request,
)
from edge_twin_adapters.ble.polar_stream import Measurement
from edge_twin_adapters.ble.profiles import PolarStart
from edge_twin_adapters.errors import DecodeError


class PolarSession:
    """The measurements of one connection.

    Args:
        starts: what to start.
        write: writes to the control point.
        answer_s: longest wait for an answer.

    Attributes:
        running: the measurements that the sensor agreed to.
        begun: those and any other that may run, since a start was asked for and not refused.
    """

    def __init__(
        self, starts: Sequence[PolarStart], write: Callable[[bytes], Awaitable[None]], answer_s: float
    ) -> None:
        self._starts = starts
        self._write = write
        self._answer_s = answer_s
        self._answers: asyncio.Queue[Response] = asyncio.Queue()
        self._stopped = asyncio.Event()
        self.running: list[Measurement] = []
        self.begun: list[Measurement] = []

    def feed(self, payload: bytes) -> None:
        """Take an indication of the control point; must not wait and does not raise."""
        if payload[:1] == bytes([RESPONSE]):
            with suppress(DecodeError):
                self._answers.put_nowait(read_response(payload))
        elif payload[:1] == bytes([STOPPED]):
            self.running = [kind for kind in self.running if kind not in payload[1:]]
            self.begun = [kind for kind in self.begun if kind not in payload[1:]]
            self._stopped.set()

    async def keep_running(self, retry_s: float, tell_gap: Callable[[str], None]) -> None:
        """Start everything, and again what does not run: a sensor stops by itself, in its charger for one.

        Args:
            retry_s: wait before what was refused, or stopped by the sensor, is started again.
            tell_gap: told of a measurement that could not be started.

        Raises:
            BleakError: the link failed.
        """
        while True:
            self._stopped.clear()
            if await self._start_missing(tell_gap):
                await self._stopped.wait()
            await asyncio.sleep(retry_s)

    async def _start_missing(self, tell_gap: Callable[[str], None]) -> bool:
        """Start what does not run; whether all of it runs then."""
        for start in self._starts:
            if start.measurement in self.running:
                continue
            try:
                await self._start_one(start)
            except (TimeoutError, DecodeError):
                # The heart rate goes on without it.
                tell_gap(f"measurement_not_started stream={start.measurement.name.lower()}")
        return len(self.running) == len(self._starts)

    async def stop(self) -> None:
        """Stop what may run; the answers are not waited for.

        Raises:
            BleakError: the link failed.
        """
        begun, self.begun, self.running = self.begun, [], []
        for measurement in begun:
            await self._write(stop_request(measurement))

    async def _start_one(self, start: PolarStart) -> None:
        chosen = dict(start.settings)
        if chosen:
            offered = await self._ask(settings_request(start.measurement))
            if offered.status is Status.SUCCESS:
                chosen = choose_settings(chosen, await self._all_settings(offered))
        request = start_request(start.measurement, chosen)
        # From here on it may run, even if the wait for the answer is cut off.
        if start.measurement not in self.begun:
            self.begun.append(start.measurement)
        answer = await self._ask(request)
        if answer.status is Status.ALREADY_IN_STATE:
            # It runs since a connection that was lost, with settings that nobody knows any more.
            await self._ask(stop_request(start.measurement))
            answer = await self._ask(request)
        if answer.status is Status.SUCCESS:
            self.running.append(start.measurement)
        else:
            self.begun = [kind for kind in self.begun if kind is not start.measurement]

    async def _all_settings(self, first: Response) -> Settings:
        parameters, last = first.parameters, first
        while last.more:
            last = await self._answer_to(Command.GET_SETTINGS, first.measurement)
            parameters += last.parameters
        return read_settings(parameters)

    async def _ask(self, request: bytes) -> Response:
        while not self._answers.empty():
            self._answers.get_nowait()
        await self._write(request)
        return await self._answer_to(Command(request[0]), Measurement(request[1]))

    async def _answer_to(self, command: Command, measurement: Measurement | None) -> Response:
        async with asyncio.timeout(self._answer_s):
            while True:
                answer = await self._answers.get()
                if answer.command is command and answer.measurement in {measurement, None}:
                    return answer


def choose_settings(wanted: Mapping[Setting, int], offered: Settings) -> dict[Setting, int]:
    """What to ask for: what is wanted where it is offered, else the largest offer.

    A setting that the sensor does not offer is left out, and one that is not wanted but offered is chosen:
    a start without it would be refused.
    """
    kinds = [*(kind for kind in wanted if kind in offered), *(kind for kind in offered if kind not in wanted)]
    choice: dict[Setting, int] = {}
    for kind in kinds:
        values = offered[kind]
        if values and kind not in {Setting.FACTOR, Setting.SECURITY}:
            choice[kind] = wanted[kind] if wanted.get(kind) in values else max(values)
    return choice
