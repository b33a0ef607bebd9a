"""A virtual Polar strap: heart rate, and ECG, acceleration and pulse intervals through the vendor's service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bumble.gatt import Characteristic

from edge_twin_adapters.ble import polar, polar_control
from edge_twin_adapters.ble.heart_rate import UNITS_PER_SECOND
from edge_twin_adapters.ble.peers.gatt import NOTIFY, control_point, measurement, service
from edge_twin_adapters.ble.peers.ledger import Fate
from edge_twin_adapters.ble.peers.live import HeartRatePeer, rate_of
from edge_twin_adapters.ble.peers.peer import Identity
from edge_twin_adapters.ble.peers.signals import AccelerationSignal, BeatTrain, ElectrocardiogramSignal
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime
from edge_twin_adapters.ble.polar import PmdHeader, encode_header, encode_pmd
from edge_twin_adapters.ble.polar_control import Command, Setting, Settings
from edge_twin_adapters.ble.polar_ppi import Pulse, encode_pulses
from edge_twin_adapters.ble.polar_sensor import PolarSensor
from edge_twin_adapters.ble.polar_stream import Measurement
from edge_twin_adapters.ble.virtual import VirtualRadio

ECG_HZ = 130.0
ACC_HZ = 50.0
# Samples of a frame: ECG as many as an H10 sends, ACC as many as fit 244 bytes at ten bits for each number.
ECG_SAMPLES = 73
ACC_SAMPLES = 50
_PPI_PERIOD_S = 5.0
# The first pulse intervals come about this long after the start (Polar SDK).
_PPI_SETTLES_S = 25.0
_ACC_COMPRESSED_MG = 1

OFFERS: Mapping[Measurement, Settings] = MappingProxyType(
    {
        Measurement.ECG: {Setting.SAMPLE_RATE: (130,), Setting.RESOLUTION: (14,)},
        Measurement.ACC: {
            Setting.SAMPLE_RATE: (25, 50, 100, 200),
            Setting.RESOLUTION: (16,),
            Setting.RANGE: (2, 4, 8),
        },
        Measurement.PPI: {},
    }
)


@dataclass(slots=True)
class _Running:
    """A measurement that a central has started at least once and not stopped.

    Attributes:
        since_s: seconds from the start of the simulation to its start.
        samples: how many there were so far.
    """

    since_s: float
    samples: int = 0


class PolarStrapPeer(HeartRatePeer):
    """A Polar strap. Records beside ``rr_interval``: ``ecg``, ``acceleration`` and ``pulse_interval``.

    A measurement begins when a central starts it and goes on until it is stopped. When the link goes the
    sensor stops sending; what it would have sent until the measurement is started again is entered as
    lost. The key of a record is the device time of its last sample in ns.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        rr_ms: the intervals to replay, over and over.
        seed: of the noise.
    """

    def __init__(
        self, radio: VirtualRadio, time: SimulatedTime, identity: Identity, *, rr_ms: Sequence[float], seed: int
    ) -> None:
        self.sensor = PolarSensor(OFFERS)
        self._ecg = ElectrocardiogramSignal(rr_ms, ECG_HZ, seed)
        self._acc = AccelerationSignal(ACC_HZ, seed + 1)
        self._pulses = BeatTrain(rr_ms)
        self._pulse_rate = 0
        self._armed: dict[Measurement, _Running] = {}
        self._data = measurement(polar.CHARACTERISTIC, NOTIFY)
        self._control: Characteristic[bytes] = control_point(
            polar_control.CHARACTERISTIC, self._command, read=lambda: self.sensor.features
        )
        super().__init__(radio, time, identity, rr_ms=rr_ms)
        self._device.add_services([service(polar.SERVICE, [self._control, self._data])])

    @property
    def is_streaming(self) -> frozenset[Measurement]:
        """The measurements that run: an H10 whose last client stopped none of them empties its battery."""
        return frozenset(self.sensor.running)

    def _on_disconnection(self, _reason: int) -> None:
        self.sensor.power_off()
        super()._on_disconnection(_reason)

    async def _command(self, value: bytes) -> None:
        before = frozenset(self.sensor.running)
        answer = self.sensor.answer(value)
        running = frozenset(self.sensor.running)
        for begun in running - before:
            self._begin(begun)
        for stopped in before - running:
            if value[0] == Command.STOP:
                self._armed.pop(stopped, None)
        self.spawn(self._indicate_answer(answer))

    async def _indicate_answer(self, answer: bytes) -> None:
        await self.send(self._control, answer)

    def _begin(self, measured: Measurement) -> None:
        if measured in self._armed:
            return
        running = self._armed[measured] = _Running((self.time.now() - self.time.start).total_seconds())
        frame, wait_s = {
            Measurement.ECG: (self._ecg_frame, ECG_SAMPLES / ECG_HZ),
            Measurement.ACC: (self._acc_frame, ACC_SAMPLES / ACC_HZ),
            Measurement.PPI: (self._ppi_frame, _PPI_SETTLES_S),
        }[measured]

        async def step() -> float | None:
            # A measurement that was stopped and started again has a step of its own.
            return await frame(running) if self._armed.get(measured) is running else None

        self.time.schedule(step, wait_s)

    def _wait_s(self, running: _Running, count: int, rate_hz: float) -> float:
        """Seconds until the next frame is complete, without adding up rounding errors."""
        running.samples += count
        due = running.since_s + (running.samples + count) / rate_hz
        return due - (self.time.now() - self.time.start).total_seconds()

    async def _ecg_frame(self, running: _Running) -> float:
        numbers = self._ecg.samples(running.samples, ECG_SAMPLES)
        payload = encode_pmd(Measurement.ECG, [[number] for number in numbers], time_ns=self.clock.nanoseconds)
        await self._send(Measurement.ECG, "ecg", payload, (float(len(numbers)), float(sum(numbers))))
        return self._wait_s(running, ECG_SAMPLES, ECG_HZ)

    async def _acc_frame(self, running: _Running) -> float:
        rows = self._acc.samples(running.samples, ACC_SAMPLES)
        payload = encode_pmd(
            Measurement.ACC, rows, time_ns=self.clock.nanoseconds, frame_type=_ACC_COMPRESSED_MG, compressed=True
        )
        total = sum(number for row in rows for number in row)
        await self._send(Measurement.ACC, "acceleration", payload, (float(len(rows)), float(total)))
        return self._wait_s(running, ACC_SAMPLES, ACC_HZ)

    async def _ppi_frame(self, running: _Running) -> float:
        units = self._pulses.during(_PPI_PERIOD_S)
        self._pulse_rate = rate_of(units, self._pulse_rate)
        running.samples += len(units)
        pulses = [
            Pulse(self._pulse_rate, round(unit * 1000 / UNITS_PER_SECOND), 5, blocker=False, contact=True)
            for unit in units
        ]
        if pulses:
            header = encode_header(PmdHeader(Measurement.PPI, self.clock.nanoseconds, 0, compressed=False))
            intervals = tuple(float(pulse.interval_ms) for pulse in pulses)
            await self._send(Measurement.PPI, "pulse_interval", header + encode_pulses(pulses), intervals)
        return _PPI_PERIOD_S

    async def _send(self, measured: Measurement, stream: str, payload: bytes, values: tuple[float, ...]) -> None:
        key = str(self.clock.nanoseconds)
        entry = self.ledger.add(stream, self.time.now(), values, key=key, fate=Fate.LOST)
        if measured in self.sensor.running:
            await self.send_measurement(payload, [entry], self._data)


def usual_start(measured: Measurement) -> dict[Setting, int]:
    """Settings with which a client starts a measurement of this strap: 130 Hz ECG, 50 Hz ACC."""
    return {
        Measurement.ECG: {Setting.SAMPLE_RATE: 130, Setting.RESOLUTION: 14},
        Measurement.ACC: {Setting.SAMPLE_RATE: 50, Setting.RESOLUTION: 16, Setting.RANGE: 8},
    }.get(measured, {})
