"""Virtual sensors that measure all the time and keep nothing: what nobody listens to is lost."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal

from edge_twin_adapters.ble import device_information, environment, heart_rate, oximeter, running
from edge_twin_adapters.ble.oximeter import Oximetry, encode_continuous
from edge_twin_adapters.ble.peers.gatt import NOTIFY, measurement, readable, service
from edge_twin_adapters.ble.peers.ledger import Fate, Measured
from edge_twin_adapters.ble.peers.peer import Identity, VirtualPeer
from edge_twin_adapters.ble.peers.signals import BeatTrain, Wander
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime, Step
from edge_twin_adapters.ble.running import RunningReading, encode_running
from edge_twin_adapters.ble.virtual import VirtualRadio

_CHEST = bytes([1])
_ONE = Decimal(1)
_TENTH = Decimal("0.1")


def rate_of(units: Sequence[int], before: int) -> int:
    """Beats per minute of these intervals in 1/1024 s; ``before`` where there are none."""
    return round(60 * heart_rate.UNITS_PER_SECOND * len(units) / sum(units)) if units else before


class HeartRatePeer(VirtualPeer):
    """A chest strap: one notification a second with the beats that ended in it.

    The ledger holds one record ``rr_interval`` for each beat, in ms.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        rr_ms: the intervals to replay, over and over.
    """

    def __init__(self, radio: VirtualRadio, time: SimulatedTime, identity: Identity, *, rr_ms: Sequence[float]) -> None:
        self._beats = BeatTrain(rr_ms)
        self._rate = 0
        main = measurement(heart_rate.CHARACTERISTIC, NOTIFY)
        location = readable(device_information.BODY_SENSOR_LOCATION, lambda: _CHEST)
        super().__init__(radio, time, identity, [service("180d", [main, location])], main)

    def steps(self) -> Sequence[Step]:
        """One notification a second."""
        return (self._second,)

    async def _second(self) -> float:
        units = self._beats.during(1.0)
        self._rate = rate_of(units, self._rate)
        entries = self._enter(units)
        await self.send_measurement(heart_rate.encode_heart_rate(self._rate, units), entries)
        return 1.0

    def _enter(self, units: Sequence[int]) -> list[Measured]:
        """One record for each beat; the last one ended now."""
        now = self.time.now()
        after = [sum(units[index + 1 :]) for index in range(len(units))]
        return [
            self.ledger.add(
                "rr_interval",
                now,
                (unit * 1000 / heart_rate.UNITS_PER_SECOND,),
                fate=Fate.LOST,
                moment=now - timedelta(microseconds=round(later * 1_000_000 / heart_rate.UNITS_PER_SECOND)),
            )
            for unit, later in zip(units, after, strict=True)
        ]


class OximeterPeer(VirtualPeer):
    """A pulse oximeter that is worn: one continuous measurement a second.

    The ledger holds records ``oxygen_saturation`` with SpO2 in % and pulse rate per minute.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        seed: of the readings.
    """

    def __init__(self, radio: VirtualRadio, time: SimulatedTime, identity: Identity, *, seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - a signal, no secret
        self._saturation = Wander(96.0, 2.0, _ONE, rng)
        self._pulse = Wander(64.0, 8.0, _ONE, rng)
        self._perfusion = Wander(4.0, 2.0, _TENTH, rng)
        main = measurement(oximeter.CONTINUOUS, NOTIFY)
        features = readable("2a60", lambda: bytes(2))
        super().__init__(radio, time, identity, [service("1822", [main, features])], main)

    def steps(self) -> Sequence[Step]:
        """One notification a second."""
        return (self._second,)

    async def _second(self) -> float:
        pair = Oximetry(self._saturation.next(), self._pulse.next())
        values = (float(pair.saturation), float(pair.pulse))
        entry = self.ledger.add("oxygen_saturation", self.time.now(), values, fate=Fate.LOST)
        await self.send_measurement(encode_continuous(pair, perfusion=self._perfusion.next()), [entry])
        return 1.0


class RunningPeer(VirtualPeer):
    """A foot pod: speed, cadence, stride length and total distance once a second.

    The ledger holds records ``cadence`` with the steps per minute and the distance in m.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        seed: of the readings.
    """

    def __init__(self, radio: VirtualRadio, time: SimulatedTime, identity: Identity, *, seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - as above
        self._speed = Wander(1.3, 0.3, Decimal("0.00390625"), rng)
        self._cadence = Wander(110.0, 8.0, _ONE, rng)
        self._metres = Decimal(0)
        main = measurement(running.CHARACTERISTIC, NOTIFY)
        features = readable("2a54", lambda: bytes([0b111, 0]))
        super().__init__(radio, time, identity, [service("1814", [main, features])], main)

    def steps(self) -> Sequence[Step]:
        """One notification a second."""
        return (self._second,)

    async def _second(self) -> float:
        speed, cadence = self._speed.next(), int(self._cadence.next())
        self._metres += speed
        decimetres = int(self._metres * 10)
        reading = RunningReading(int(speed * 256), cadence, int(speed * 6000 / cadence), decimetres)
        entry = self.ledger.add("cadence", self.time.now(), (float(cadence), decimetres / 10), fate=Fate.LOST)
        await self.send_measurement(encode_running(reading), [entry])
        return 1.0


class RoomPeer(VirtualPeer):
    """A sensor of the air: temperature, humidity, pressure, VOC and CO2 every ten seconds, each notified.

    The ledger holds one record for each, named as the code. Reading a value takes a measurement too.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        seed: of the readings.
    """

    period_s = 10.0

    def __init__(self, radio: VirtualRadio, time: SimulatedTime, identity: Identity, *, seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - as above
        hundredth = Decimal("0.01")
        self._signals = {
            "2a6e": Wander(21.5, 1.0, hundredth, rng),
            "2a6f": Wander(45.0, 5.0, hundredth, rng),
            "2a6d": Wander(101_300.0, 50.0, _TENTH, rng),
            "2be7": Wander(180.0, 60.0, _ONE, rng),
            "2b8c": Wander(700.0, 150.0, _ONE, rng),
        }
        self._values = {uuid: readable(uuid, self._reader(uuid), notify=True) for uuid in self._signals}
        super().__init__(radio, time, identity, [service("181a", list(self._values.values()))], self._values["2a6e"])

    def _reader(self, uuid: str) -> Callable[[], bytes]:
        def read() -> bytes:
            value = self._signals[uuid].next()
            self._enter(uuid, value).fate = Fate.SENT
            return environment.encode_environment(uuid, value)

        return read

    def _enter(self, uuid: str, value: Decimal) -> Measured:
        name = environment.QUANTITIES[uuid].code.name
        return self.ledger.add(name, self.time.now(), (float(value),), fate=Fate.LOST)

    def steps(self) -> Sequence[Step]:
        """Five notifications every ten seconds."""
        return (self._measure,)

    async def _measure(self) -> float:
        for uuid, signal in self._signals.items():
            value = signal.next()
            entry = self._enter(uuid, value)
            await self.send_measurement(environment.encode_environment(uuid, value), [entry], self._values[uuid])
        return self.period_s
