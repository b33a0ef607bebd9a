"""Virtual sensors that keep their records and report them on request: glucose meter, spot oximeter."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

from bumble.gatt import Characteristic, Service

from edge_twin_adapters.ble import glucose, glucose_context, oximeter
from edge_twin_adapters.ble.glucose import encode_glucose, mg_per_dl
from edge_twin_adapters.ble.glucose_context import GlucoseContext, encode_glucose_context
from edge_twin_adapters.ble.oximeter import Oximetry, encode_spot_check
from edge_twin_adapters.ble.peers.gatt import INDICATE, NOTIFY, measurement, readable, service
from edge_twin_adapters.ble.peers.ledger import Fate, Measured
from edge_twin_adapters.ble.peers.peer import Identity, VirtualPeer
from edge_twin_adapters.ble.peers.record_store import RecordStore, StoredRecord
from edge_twin_adapters.ble.peers.signals import Wander
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime, Step
from edge_twin_adapters.ble.peers.stored import Schedule
from edge_twin_adapters.ble.virtual import VirtualRadio

_ONE = Decimal(1)
_FROM_STORAGE = 1 << 9
_AFTER_MEAL = 2
_EVERY_FOUR_HOURS = Schedule(1200.0, 14_400.0)
_EVERY_HOUR = Schedule(420.0, 3600.0)


class RecordingPeer(VirtualPeer):
    """A sensor with a Record Access Control Point.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        uuid: of its service.
        parts: characteristics of the service, the measurement first.
        schedule: when it is used.
    """

    def __init__(  # noqa: PLR0913 - the parts of a sensor, by name
        self,
        radio: VirtualRadio,
        time: SimulatedTime,
        identity: Identity,
        *,
        uuid: str,
        parts: Sequence[Characteristic[bytes]],
        schedule: Schedule,
        further: Sequence[Service] = (),
    ) -> None:
        self._schedule = schedule
        self.store = RecordStore(ready=self._is_ready, indicate=self._answer, spawn=self.spawn)
        services = [service(uuid, [*parts, self.store.characteristic]), *further]
        super().__init__(radio, time, identity, services, parts[0])

    def _is_ready(self) -> bool:
        return self.listens(self.measurement) and self.listens(self.store.characteristic)

    async def _answer(self, payload: bytes) -> bool:
        return await self.send(self.store.characteristic, payload)

    def _on_disconnection(self, _reason: int) -> None:
        self.store.link_lost()
        super()._on_disconnection(_reason)

    def stall_after(self, records: int) -> None:
        """Let the next report fall silent after so many records."""
        self.store.stall_after(records)

    def steps(self) -> Sequence[Step]:
        """One record at each time of the schedule."""

        async def use() -> float:
            await self.record()
            return self._schedule.period_s

        async def first() -> None:
            self.time.schedule(use, self._schedule.first_s)

        return (first,)

    async def record(self) -> None:
        """Take a measurement and keep it."""

    def keep(self, number: int, entry: Measured, *sent: tuple[Characteristic[bytes], bytes]) -> None:
        """Keep a record that is reported as these values, in this order."""

        async def send() -> bool:
            return all([await self.send_measurement(payload, [entry], target) for target, payload in sent])

        self.store.add(StoredRecord(number, send))


class GlucosePeer(RecordingPeer):
    """A meter for capillary blood: records ``glucose`` in mg/dL, every second one with a context.

    Nothing is sent unless it is asked for. The key of a record is its sequence number.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        seed: of the readings.
        schedule: every four hours by default.
    """

    def __init__(
        self,
        radio: VirtualRadio,
        time: SimulatedTime,
        identity: Identity,
        *,
        seed: int,
        schedule: Schedule = _EVERY_FOUR_HOURS,
    ) -> None:
        self._concentration = Wander(105.0, 30.0, _ONE, random.Random(seed))  # noqa: S311 - a signal, no secret
        self._sequence = 0
        main = measurement(glucose.CHARACTERISTIC, NOTIFY)
        self._context = measurement(glucose_context.CHARACTERISTIC, NOTIFY)
        parts = [main, self._context, readable("2a51", lambda: bytes(2))]
        super().__init__(radio, time, identity, uuid="1808", parts=parts, schedule=schedule)

    async def record(self) -> None:
        """One test strip."""
        number, value = self._sequence, self._concentration.next()
        self._sequence += 1
        has_context = number % 2 == 1
        payload = encode_glucose(number, self.clock.field, concentration=mg_per_dl(value), context_follows=has_context)
        entry = self.ledger.add("glucose", self.time.now(), (float(value),), key=str(number), fate=Fate.STORED)
        told = encode_glucose_context(GlucoseContext(number, meal=_AFTER_MEAL))
        self.keep(number, entry, (self.measurement, payload), *([(self._context, told)] if has_context else []))


class SpotOximeterPeer(RecordingPeer):
    """An oximeter for a quick look: records ``oxygen_saturation`` with SpO2 in % and pulse rate.

    Each check is indicated to whoever listens and stays in the storage; reported from there it says so in
    its status. The key of a record is the device's time. Requests count records from 0.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        seed: of the readings.
        schedule: every hour by default.
    """

    def __init__(
        self,
        radio: VirtualRadio,
        time: SimulatedTime,
        identity: Identity,
        *,
        seed: int,
        schedule: Schedule = _EVERY_HOUR,
    ) -> None:
        rng = random.Random(seed)  # noqa: S311 - as above
        self._saturation, self._pulse = Wander(96.0, 2.0, _ONE, rng), Wander(64.0, 8.0, _ONE, rng)
        main = measurement(oximeter.SPOT_CHECK, INDICATE)
        parts = [main, readable("2a60", lambda: bytes([0b1_0101, 0, *_FROM_STORAGE.to_bytes(2, "little")]))]
        super().__init__(radio, time, identity, uuid="1822", parts=parts, schedule=schedule)

    async def record(self) -> None:
        """One spot check."""
        saturation, pulse = self._saturation.next(), self._pulse.next()
        shown, is_set = self.clock.field, self.clock.is_set
        entry = self.ledger.add("oxygen_saturation", self.time.now(), (float(saturation), float(pulse)), key=shown.text)

        def payload(status: int) -> bytes:
            return encode_spot_check(
                Oximetry(saturation, pulse), device_time=shown, measurement_status=status, clock_set=is_set
            )

        self.keep(len(self.store), entry, (self.measurement, payload(_FROM_STORAGE)))
        self.spawn(self._tell(payload(0), entry))

    async def _tell(self, payload: bytes, entry: Measured) -> None:
        await self.send_measurement(payload, [entry])
