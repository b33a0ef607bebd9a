"""Virtual sensors that measure now and then and keep each record until a central has confirmed it.

Thermometer, cuff and scales send with indications and have no control point for their storage: whoever
subscribes gets what waits, oldest first. A record that was received but not confirmed before the link went
is sent again, as real sensors do; the receiver tells it from a new one by its time.
"""

from __future__ import annotations

import asyncio
import random
from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from bumble import core

from edge_twin.codes import BODY_IMPEDANCE, BODY_WEIGHT, MUSCLE_MASS
from edge_twin.observation import Site
from edge_twin_adapters.ble import blood_pressure, scales, thermometer
from edge_twin_adapters.ble.blood_pressure import CuffReading, encode_blood_pressure
from edge_twin_adapters.ble.peers.gatt import INDICATE, measurement, readable, service
from edge_twin_adapters.ble.peers.ledger import Fate, Measured
from edge_twin_adapters.ble.peers.peer import Identity, VirtualPeer
from edge_twin_adapters.ble.peers.signals import Wander
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime, Step
from edge_twin_adapters.ble.scales import encode_body_composition, encode_weight
from edge_twin_adapters.ble.thermometer import encode_temperature
from edge_twin_adapters.ble.virtual import VirtualRadio

_ONE = Decimal(1)
_TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a sensor is used.

    Attributes:
        first_s: seconds until the first measurement.
        period_s: seconds from one to the next.
    """

    first_s: float
    period_s: float


_EVERY_HALF_HOUR = Schedule(300.0, 1800.0)
_EVERY_TWO_HOURS = Schedule(600.0, 7200.0)
_TWICE_A_DAY = Schedule(900.0, 43_200.0)


class StoringPeer(VirtualPeer):
    """A sensor with a queue of records that wait for their confirmation.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        uuids: of the service, of the measurement that is indicated, and of the feature.
        feature: value of the feature.
        schedule: when it is used.
    """

    def __init__(  # noqa: PLR0913 - the parts of a sensor, by name
        self,
        radio: VirtualRadio,
        time: SimulatedTime,
        identity: Identity,
        *,
        uuids: tuple[str, str, str],
        feature: bytes,
        schedule: Schedule,
    ) -> None:
        service_uuid, measurement_uuid, feature_uuid = uuids
        self._schedule = schedule
        self._waiting: deque[tuple[bytes, Measured]] = deque()
        self._sending = asyncio.Lock()
        main = measurement(measurement_uuid, INDICATE)
        parts = [main, readable(feature_uuid, lambda: feature)]
        super().__init__(radio, time, identity, [service(service_uuid, parts)], main)
        main.on(main.EVENT_SUBSCRIPTION, lambda *_: self.spawn(self._send_waiting()))

    @property
    def waiting(self) -> int:
        """How many records wait for their confirmation."""
        return len(self._waiting)

    @abstractmethod
    def measure(self) -> tuple[bytes, Measured]:
        """Take a measurement: its payload and its record, whose key is the device's time."""

    def steps(self) -> Sequence[Step]:
        """One measurement at each time of the schedule."""

        async def use() -> float:
            self._waiting.append(self.measure())
            self.spawn(self._send_waiting())
            return self._schedule.period_s

        async def first() -> None:
            self.time.schedule(use, self._schedule.first_s)

        return (first,)

    async def _send_waiting(self) -> None:
        async with self._sending:
            while self._waiting:
                payload, entry = self._waiting[0]
                if not await self._confirmed(payload, entry):
                    return
                self._waiting.popleft()

    async def _confirmed(self, payload: bytes, entry: Measured) -> bool:
        try:
            return await self.send_measurement(payload, [entry])
        except (core.BaseBumbleError, TimeoutError):
            return False

    def enter(self, stream: str, *values: Decimal) -> Measured:
        """A record of this moment."""
        told = tuple(float(value) for value in values)
        return self.ledger.add(stream, self.time.now(), told, key=self.clock.field.text, fate=Fate.STORED)


class ThermometerPeer(StoringPeer):
    """A thermometer in the armpit; records ``body_temperature`` in °C.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        seed: of the readings.
        schedule: a reading every half hour by default.
    """

    def __init__(
        self,
        radio: VirtualRadio,
        time: SimulatedTime,
        identity: Identity,
        *,
        seed: int,
        schedule: Schedule = _EVERY_HALF_HOUR,
    ) -> None:
        self._celsius = Wander(36.8, 0.5, _TENTH, random.Random(seed))  # noqa: S311 - a signal, no secret
        uuids = ("1809", thermometer.CHARACTERISTIC, thermometer.TEMPERATURE_TYPE)
        super().__init__(radio, time, identity, uuids=uuids, feature=bytes([1]), schedule=schedule)

    def measure(self) -> tuple[bytes, Measured]:
        """One reading with time stamp and site."""
        celsius = self._celsius.next()
        payload = encode_temperature(celsius, site=Site.ARMPIT, device_time=self.clock.field)
        return payload, self.enter("body_temperature", celsius)


class CuffPeer(StoringPeer):
    """A cuff on the upper arm; records ``systolic_pressure`` with systolic, diastolic and pulse rate.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        seed: of the readings.
        schedule: a reading every two hours by default.
    """

    def __init__(
        self,
        radio: VirtualRadio,
        time: SimulatedTime,
        identity: Identity,
        *,
        seed: int,
        schedule: Schedule = _EVERY_TWO_HOURS,
    ) -> None:
        rng = random.Random(seed)  # noqa: S311 - as above
        self._systolic, self._diastolic = Wander(122.0, 12.0, _ONE, rng), Wander(78.0, 8.0, _ONE, rng)
        self._pulse = Wander(66.0, 8.0, _ONE, rng)
        uuids = ("1810", blood_pressure.MEASUREMENT, "2a49")
        super().__init__(radio, time, identity, uuids=uuids, feature=bytes([0b11_1111, 0]), schedule=schedule)

    def measure(self) -> tuple[bytes, Measured]:
        """One reading with time stamp, pulse rate, user and an empty status."""
        systolic, diastolic, pulse = self._systolic.next(), self._diastolic.next(), self._pulse.next()
        mean = diastolic + ((systolic - diastolic) / 3).quantize(_ONE)
        reading = CuffReading(systolic, diastolic, mean, pulse)
        payload = encode_blood_pressure(reading, device_time=self.clock.field, user=1, status=0)
        return payload, self.enter("systolic_pressure", systolic, diastolic, pulse)


class ScalePeer(StoringPeer):
    """A scale; records ``body_weight`` in kg.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        seed: of the readings.
        schedule: twice a day by default.
    """

    def __init__(
        self,
        radio: VirtualRadio,
        time: SimulatedTime,
        identity: Identity,
        *,
        seed: int,
        schedule: Schedule = _TWICE_A_DAY,
    ) -> None:
        self._weight = Wander(71.0, 0.6, Decimal("0.005"), random.Random(seed))  # noqa: S311 - as above
        uuids = ("181d", scales.WEIGHT, "2a9e")
        super().__init__(radio, time, identity, uuids=uuids, feature=bytes([0b11, 0, 0, 0]), schedule=schedule)

    def measure(self) -> tuple[bytes, Measured]:
        """One weighing with time stamp and user."""
        weight = self._weight.next()
        return encode_weight(weight, device_time=self.clock.field, user=1), self.enter("body_weight", weight)


class BodyCompositionPeer(StoringPeer):
    """A scale with electrodes; records ``body_fat`` with fat in %, weight and muscle in kg and impedance in Ohm.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        seed: of the readings.
        schedule: twice a day by default.
    """

    def __init__(
        self,
        radio: VirtualRadio,
        time: SimulatedTime,
        identity: Identity,
        *,
        seed: int,
        schedule: Schedule = _TWICE_A_DAY,
    ) -> None:
        rng = random.Random(seed)  # noqa: S311 - as above
        step = Decimal("0.005")
        self._fat, self._weight = Wander(24.0, 1.0, _TENTH, rng), Wander(71.0, 0.6, step, rng)
        self._muscle, self._impedance = Wander(51.0, 0.5, step, rng), Wander(520.0, 15.0, _TENTH, rng)
        uuids = ("181b", scales.BODY_COMPOSITION, "2a9b")
        super().__init__(radio, time, identity, uuids=uuids, feature=bytes([0b10_0011, 0, 0, 0]), schedule=schedule)

    def measure(self) -> tuple[bytes, Measured]:
        """One weighing with fat, muscle mass and impedance."""
        fat, weight = self._fat.next(), self._weight.next()
        values = {MUSCLE_MASS: self._muscle.next(), BODY_IMPEDANCE: self._impedance.next(), BODY_WEIGHT: weight}
        payload = encode_body_composition(fat, values, device_time=self.clock.field, user=1)
        return payload, self.enter("body_fat", fat, weight, values[MUSCLE_MASS], values[BODY_IMPEDANCE])
