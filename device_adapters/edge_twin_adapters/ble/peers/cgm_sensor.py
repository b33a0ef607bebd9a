"""A virtual continuous glucose monitor: measurement, session, specific ops with E2E-CRC, record access."""

from __future__ import annotations

import random
from datetime import datetime
from decimal import Decimal

from bumble import att
from bumble.gatt import Characteristic

from edge_twin_adapters.ble import cgm, cgm_control, cgm_session
from edge_twin_adapters.ble.cgm import CgmRecord, encode_cgm_measurement
from edge_twin_adapters.ble.cgm_control import Op, encode_cgm_command, level_operand, response_operand
from edge_twin_adapters.ble.cgm_feature import CgmFeature
from edge_twin_adapters.ble.cgm_session import (
    SessionStart,
    encode_cgm_feature,
    encode_cgm_status,
    encode_session_run_time,
    encode_session_start,
    read_session_start,
)
from edge_twin_adapters.ble.crc import without_crc
from edge_twin_adapters.ble.date_time import as_field
from edge_twin_adapters.ble.fields import read_sfloat
from edge_twin_adapters.ble.frame import Reader
from edge_twin_adapters.ble.ieee11073 import Number
from edge_twin_adapters.ble.peers.gatt import INVALID_CRC, NOTIFY, control_point, measurement, readable
from edge_twin_adapters.ble.peers.ledger import Fate
from edge_twin_adapters.ble.peers.peer import Identity
from edge_twin_adapters.ble.peers.recording import RecordingPeer
from edge_twin_adapters.ble.peers.signals import Wander
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime
from edge_twin_adapters.ble.peers.stored import Schedule
from edge_twin_adapters.ble.virtual import VirtualRadio
from edge_twin_adapters.errors import DecodeError

# Bits of the feature that this sensor has: alerts for low, high and rate, E2E-CRC, trend, quality.
_FEATURE = CgmFeature(1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 12 | 1 << 15 | 1 << 16, 0x59)
_SUCCESS, _NOT_SUPPORTED, _BAD_OPERAND, _NOT_COMPLETED = 1, 2, 3, 4
_LEVELS = (Op.PATIENT_HIGH, Op.PATIENT_LOW, Op.HYPO, Op.HYPER, Op.FALL, Op.RISE)
_SETTERS = {Op(level - 2): level for level in _LEVELS}
_GETTERS = {Op(level - 1): level for level in _LEVELS}
_SESSION_HOURS = 240
_STOPPED = 1
# Defaults of the alert levels, mg/dL and mg/dL per minute: assumed.
_DEFAULTS: dict[Op, Number] = {
    Op.PATIENT_HIGH: Decimal(180),
    Op.PATIENT_LOW: Decimal(70),
    Op.HYPO: Decimal(55),
    Op.HYPER: Decimal(250),
    Op.FALL: Decimal(2),
    Op.RISE: Decimal(2),
}


class CgmPeer(RecordingPeer):
    """A glucose sensor in the tissue: records ``glucose_interstitial`` in mg/dL; the key is the session minute.

    A record is notified to whoever listens and stays in the storage. Every value has its E2E-CRC. The
    session begins with the simulation; stopping it through the control point stops the records.

    Args:
        radio, time, identity: see :class:`VirtualPeer`.
        seed: of the readings.
        minutes: from one record to the next.
    """

    def __init__(
        self, radio: VirtualRadio, time: SimulatedTime, identity: Identity, *, seed: int, minutes: int = 5
    ) -> None:
        self._glucose = Wander(108.0, 25.0, Decimal(1), random.Random(seed))  # noqa: S311 - a signal, no secret
        self._minutes = minutes
        self._levels = dict(_DEFAULTS)
        self._started: datetime | None = time.now()
        self._start = SessionStart(as_field(time.now()), 0, 0)
        self._control = control_point(cgm_control.CHARACTERISTIC, self._command)
        parts = [measurement(cgm.CHARACTERISTIC, NOTIFY), *self._descriptions(), self._control]
        schedule = Schedule(60.0 * minutes, 60.0 * minutes)
        super().__init__(radio, time, identity, uuid="181f", parts=parts, schedule=schedule)

    def _descriptions(self) -> list[Characteristic[bytes]]:
        return [
            readable(cgm_session.FEATURE, lambda: encode_cgm_feature(_FEATURE)),
            readable(cgm_session.STATUS_CHARACTERISTIC, self._status),
            readable(cgm_session.SESSION_START, self._session_start, write=self._write_start),
            readable(cgm_session.SESSION_RUN_TIME, lambda: encode_session_run_time(_SESSION_HOURS, crc=True)),
        ]

    def _status(self) -> bytes:
        return encode_cgm_status(self._age(), 0 if self._started else _STOPPED, crc=True)

    def _session_start(self) -> bytes:
        return encode_session_start(self._start, crc=True)

    async def _write_start(self, value: bytes) -> None:
        self._start = read_session_start(value, crc=True)

    def _age(self) -> int:
        return 0 if self._started is None else int((self.time.now() - self._started).total_seconds() // 60)

    async def record(self) -> None:
        """One record, unless the session was stopped."""
        if self._started is None:
            return
        minute, value = self._age(), self._glucose.next()
        one = CgmRecord(value, minute, trend=Decimal("0.1"), quality=Decimal(99))
        payload = encode_cgm_measurement([one], crc=True)
        entry = self.ledger.add(
            "glucose_interstitial", self.time.now(), (float(value),), key=str(minute), fate=Fate.STORED
        )
        self.keep(minute, entry, (self.measurement, payload))
        await self.send_measurement(payload, [entry])

    async def _command(self, value: bytes) -> None:
        try:
            command = without_crc(value)
        except DecodeError as error:
            raise att.ATT_Error(att.ErrorCode(INVALID_CRC)) from error
        self.spawn(self._reply(self._carry_out(command)))

    async def _reply(self, payload: bytes) -> None:
        await self.send(self._control, payload)

    def _carry_out(self, command: bytes) -> bytes:
        """The answer to a command without its CRC."""
        if not command or command[0] not in set(Op):
            return _response(Op.RESPONSE, _NOT_SUPPORTED)
        op, operand = Op(command[0]), command[1:]
        try:
            return self._obey(op, operand)
        except (DecodeError, IndexError):
            return _response(op, _BAD_OPERAND)

    def _obey(self, op: Op, operand: bytes) -> bytes:
        if op in _GETTERS:
            return encode_cgm_command(_GETTERS[op], level_operand(self._levels[_GETTERS[op]]), crc=True)
        if op in _SETTERS:
            reader = Reader(operand)
            self._levels[_SETTERS[op]] = read_sfloat(reader, "level")
            reader.finish()
            return _response(op, _SUCCESS)
        match op:
            case Op.GET_INTERVAL:
                return encode_cgm_command(Op.INTERVAL, bytes([self._minutes]), crc=True)
            case Op.SET_INTERVAL:
                return self._set_interval(operand[0])
            case Op.START_SESSION | Op.STOP_SESSION:
                return _response(op, self._switch(on=op is Op.START_SESSION))
        return _response(op, _NOT_SUPPORTED)

    def _set_interval(self, minutes: int) -> bytes:
        """A new interval; 0 would turn the periodic records off and is refused here."""
        if not minutes:
            return _response(Op.SET_INTERVAL, _BAD_OPERAND)
        self._minutes = minutes
        self._schedule = Schedule(0.0, 60.0 * minutes)
        return _response(Op.SET_INTERVAL, _SUCCESS)

    def _switch(self, *, on: bool) -> int:
        if on == (self._started is not None):
            return _NOT_COMPLETED
        self._started = self.time.now() if on else None
        if on:
            self._start = SessionStart(self.clock.field, 0, 0)
        return _SUCCESS


def _response(request: Op, code: int) -> bytes:
    return encode_cgm_command(Op.RESPONSE, response_operand(request, code), crc=True)
