"""Virtual sensors that only broadcast: a room thermometer (BTHome) and a Mi scale. Nobody can connect to them."""

from __future__ import annotations

import random
from abc import abstractmethod
from decimal import Decimal

from bumble import data_types
from bumble.core import AdvertisingData
from bumble.device import AdvertisingType

from edge_twin_adapters.ble import bthome
from edge_twin_adapters.ble.bthome import count_of, encode_bthome
from edge_twin_adapters.ble.mi_scale import Unit, Weighing, encode_second, steps_of_weight
from edge_twin_adapters.ble.peers.device_clock import DeviceClock
from edge_twin_adapters.ble.peers.gatt import uuid_of
from edge_twin_adapters.ble.peers.ledger import Fate, Ledger
from edge_twin_adapters.ble.peers.peer import Identity
from edge_twin_adapters.ble.peers.signals import Wander
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime
from edge_twin_adapters.ble.peers.stored import Schedule
from edge_twin_adapters.ble.virtual import VirtualRadio

_MI_SERVICE = "181b"
_TEMPERATURE, _HUMIDITY = 0x02, 0x03
_EVERY_MINUTE = Schedule(1.0, 60.0)
_TWICE_A_DAY = Schedule(1.0, 43_200.0)


class BroadcastPeer:
    """A sensor that repeats its latest reading in its advertisements.

    Args:
        radio: where it is.
        time: when it measures.
        identity: who it is; its battery and protection mean nothing here.
        service: UUID of the service data.
        schedule: when it measures.
    """

    def __init__(
        self, radio: VirtualRadio, time: SimulatedTime, identity: Identity, service: str, schedule: Schedule
    ) -> None:
        self.name = identity.name
        self.address = identity.address
        self.time = time
        self.clock = DeviceClock(time.now)
        self.ledger = Ledger()
        self._service = service
        self._schedule = schedule
        self._device = radio.make_device(identity.name, identity.address)

    async def begin(self) -> None:
        """Measure and broadcast from now on."""
        await self._device.power_on()

        async def measure() -> float:
            await self._broadcast(self.measure())
            return self._schedule.period_s

        self.time.schedule(measure, self._schedule.first_s)

    @abstractmethod
    def measure(self) -> bytes:
        """Take a reading: its service data. It is entered in the ledger as sent."""

    def _enter(self, stream: str, value: Decimal, key: str = "") -> None:
        self.ledger.add(stream, self.time.now(), (float(value),), key=key, fate=Fate.SENT)

    async def _broadcast(self, octets: bytes) -> None:
        await self._device.stop_advertising()
        data = [
            data_types.Flags(AdvertisingData.Flags.LE_GENERAL_DISCOVERABLE_MODE),
            data_types.ServiceData16BitUUID(uuid_of(self._service), octets),
        ]
        self._device.advertising_data = bytes(AdvertisingData(data))
        await self._device.start_advertising(advertising_type=AdvertisingType.UNDIRECTED)


class RoomBroadcastPeer(BroadcastPeer):
    """A room sensor with BTHome version 2; records ``ambient_temperature`` and ``relative_humidity``.

    The packet number tells a receiver a new reading from a repeated one.

    Args:
        radio, time, identity: see :class:`BroadcastPeer`.
        seed: of the readings.
        schedule: once a minute by default.
    """

    def __init__(
        self,
        radio: VirtualRadio,
        time: SimulatedTime,
        identity: Identity,
        *,
        seed: int,
        schedule: Schedule = _EVERY_MINUTE,
    ) -> None:
        rng, step = random.Random(seed), Decimal("0.01")  # noqa: S311 - a signal, no secret
        self._temperature, self._humidity = Wander(21.5, 1.0, step, rng), Wander(45.0, 5.0, step, rng)
        self._packet = 0
        super().__init__(radio, time, identity, bthome.SERVICE, schedule)

    def measure(self) -> bytes:
        """Temperature and humidity."""
        temperature, humidity = self._temperature.next(), self._humidity.next()
        self._packet = (self._packet + 1) % 256
        self._enter("ambient_temperature", temperature)
        self._enter("relative_humidity", humidity)
        objects = [
            (_TEMPERATURE, count_of(_TEMPERATURE, temperature)),
            (_HUMIDITY, count_of(_HUMIDITY, humidity)),
        ]
        return encode_bthome(objects, packet=self._packet)


class MiScalePeer(BroadcastPeer):
    """A Mi Body Composition Scale; records ``body_weight`` and ``body_impedance``, the key is its time.

    Args:
        radio, time, identity: see :class:`BroadcastPeer`.
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
        self._weight, self._impedance = Wander(71.0, 0.6, Decimal("0.005"), rng), Wander(520.0, 15.0, Decimal(1), rng)
        super().__init__(radio, time, identity, _MI_SERVICE, schedule)

    def measure(self) -> bytes:
        """A settled weight with impedance."""
        weight, impedance = self._weight.next(), self._impedance.next()
        shown = self.clock.field
        self._enter("body_weight", weight, shown.text)
        self._enter("body_impedance", impedance, shown.text)
        steps = steps_of_weight(weight, Unit.KILOGRAM)
        return encode_second(Weighing(steps, Unit.KILOGRAM, shown, impedance_ohm=int(impedance)))
