"""From frames to items, with everything that one frame alone cannot say; no radio, no clock, no waiting.

What a device was asked and what it answered are frames too, in their order. The same frames therefore
give the same items again, which is what makes a kept recording worth keeping (:mod:`frames`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from edge_twin.codes import BATTERY_LEVEL
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Site, Waveform
from edge_twin_adapters.ble import (
    cgm_session,
    device_information,
    polar,
    polar_control,
    thermometer,
)
from edge_twin_adapters.ble.clock_map import ClockMap
from edge_twin_adapters.ble.decode import decode
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader, short_uuid
from edge_twin_adapters.ble.gaps import GapMerger
from edge_twin_adapters.ble.identity import Duplicates, digest_of, is_stream, records_in
from edge_twin_adapters.ble.mailbox import Frame
from edge_twin_adapters.ble.polar_control import Command, Setting, Status
from edge_twin_adapters.ble.polar_stream import Measurement
from edge_twin_adapters.ble.polar_time import NS_PER_SECOND, device_reading
from edge_twin_adapters.ble.wear import WearTracker

# Read again after every connection and told only when they changed.
_ABOUT = frozenset(
    (
        *device_information.DECODERS,
        device_information.SYSTEM_ID,
        device_information.BODY_SENSOR_LOCATION,
        thermometer.TEMPERATURE_TYPE,
        cgm_session.FEATURE,
        cgm_session.SESSION_START,
        cgm_session.SESSION_RUN_TIME,
    )
)
# A waveform that begins later than this after the last one left a hole, in periods.
_SEAM_PERIODS = 1.5


class Interpreter:
    """Decodes the frames of one device in the order in which they came.

    Args:
        context: what is known of the device beforehand.
        known: digests of records that an earlier run gave already.
    """

    def __init__(self, context: DecodeContext, known: Iterable[bytes] = ()) -> None:
        self._context = context
        self._about: dict[str, bytes] = {}
        self._requested: dict[Measurement, dict[Setting, int]] = {}
        self._clock = ClockMap()
        self._ends: dict[str, datetime] = {}
        self._seams: dict[str, bool] = {}  # streams that begin anew; whether their clock is the same
        self._doubted = False
        self._gaps = GapMerger(context.source)
        self._wear = WearTracker()
        self._repeats = Duplicates(known)
        self.duplicates = 0
        self.battery_percent: float | None = None

    @property
    def context(self) -> DecodeContext:
        """What is known of the device by now."""
        return self._context

    @property
    def wear(self) -> WearTracker:
        """Whether the device is worn."""
        return self._wear

    @property
    def holds_gap(self) -> bool:
        """Whether a gap is held back because it may still grow."""
        return self._gaps.holds

    def take_digests(self) -> list[bytes]:
        """Digests of the records that were given since the last call, to be kept over a restart."""
        return self._repeats.take_fresh()

    def flush(self) -> list[Item]:
        """The gaps that are held back."""
        return list(self._gaps.flush())

    def link_lost(self) -> list[Item]:
        """The link is gone: what is held back, and nothing is known any more of being worn."""
        self._wear.forget()
        return self.flush()

    def items(self, frame: Frame) -> list[Item]:
        """What a frame says, oldest first, without records that came before.

        Further events: ``STATUS`` ``clock_jump offset_s=...`` when the clock of a Polar sensor was set, and
        ``wear state=... before=...``; ``GAP`` ``stream_restarted stream=...`` for the samples between two
        runs of a Polar measurement. Gaps that follow each other closely are one.

        Raises:
            DecodeError: as :func:`decode`; nothing of the frame was used.
        """
        uuid = short_uuid(frame.characteristic)
        if frame.outgoing:
            self._note_request(uuid, frame.payload)
            return []
        if uuid in _ABOUT and self._about.get(uuid) == frame.payload:
            return []
        told = self._note_clock(frame) if uuid == polar.CHARACTERISTIC else []
        items = self._new_items(uuid, frame)
        self._learn(uuid, frame)
        return [*told, *self._finish(items, frame.received)]

    def _new_items(self, uuid: str, frame: Frame) -> list[Item]:
        items = decode(uuid, frame.payload, frame.received, context=self._context)
        records = records_in(uuid, frame.payload)
        if len(records) == 1:
            return items if self._is_new(uuid, frame.payload, items) else []
        new: list[Item] = []
        for record in records:
            part = decode(uuid, record, frame.received, context=self._context)
            new += part if self._is_new(uuid, record, part) else []
        return new

    def _is_new(self, uuid: str, record: bytes, items: list[Item]) -> bool:
        digest = digest_of(uuid, record, self._about.get(cgm_session.SESSION_START, b""), items)
        if digest is None or self._repeats.is_new(digest, remember=not is_stream(uuid)):
            return True
        self.duplicates += 1
        return False

    def _finish(self, items: list[Item], now: datetime) -> list[Item]:
        """Seams before waveforms, wear after what tells of it, gaps where they are over."""
        finished: list[Item] = list(self._gaps.passed(now))
        for item in items:
            if isinstance(item, DeviceEvent) and item.kind is DeviceEventKind.GAP and item.until == item.time:
                finished += self._gaps.add(item)
                continue
            if isinstance(item, Waveform):
                finished += self._seam(item)
            if isinstance(item, Observation) and item.code is BATTERY_LEVEL:
                self.battery_percent = item.value
            finished.append(item)
            if (detail := self._wear.note(item)) is not None:
                finished.append(DeviceEvent(DeviceEventKind.STATUS, now, self._context.source, detail))
        return finished

    def _seam(self, waveform: Waveform) -> list[Item]:
        name = waveform.code.name
        before, self._ends[name] = self._ends.get(name), waveform.end
        same_clock = self._seams.pop(name, None)
        if before is None or same_clock is None:
            return []
        # Without its clock a frame is placed at its reception, and only a whole lost frame can be seen.
        periods = _SEAM_PERIODS if same_clock else max(_SEAM_PERIODS, len(waveform.samples))
        if waveform.start - before <= timedelta(seconds=periods * waveform.period_s):
            return []
        detail = f"stream_restarted stream={name}"
        return [DeviceEvent(DeviceEventKind.GAP, before, waveform.source, detail, waveform.start)]

    # What a frame says for the next ones.

    def _learn(self, uuid: str, frame: Frame) -> None:
        if uuid in _ABOUT:
            self._about[uuid] = frame.payload
        match uuid:
            case polar.CHARACTERISTIC:
                self._context = polar.following(self._context, frame.payload)
            case polar_control.CHARACTERISTIC:
                self._learn_stream(frame.payload)
            case cgm_session.FEATURE:
                self._context = replace(self._context, cgm_feature=cgm_session.read_cgm_feature(frame.payload))
            case cgm_session.SESSION_START:
                self._learn_session(frame.payload)
            case thermometer.TEMPERATURE_TYPE:
                self._learn_site(frame)

    def _learn_session(self, payload: bytes) -> None:
        feature = self._context.cgm_feature
        start = cgm_session.read_session_start(payload, crc=None if feature is None else feature.has_crc)
        self._context = replace(self._context, cgm_session_start=start.moment(self._context.patient_zone))

    def _learn_site(self, frame: Frame) -> None:
        (status,) = thermometer.decode_temperature_type(frame.payload, frame.received, self._context)
        if isinstance(status, DeviceEvent):
            self._context = replace(self._context, site=Site(status.detail.removeprefix("site=")))

    def _note_request(self, uuid: str, payload: bytes) -> None:
        if uuid != polar_control.CHARACTERISTIC or payload[:1] != bytes([Command.START]):
            return
        settings = polar_control.read_settings(payload[2:])
        self._requested[Measurement(payload[1])] = {kind: values[0] for kind, values in settings.items()}

    def _learn_stream(self, payload: bytes) -> None:
        if payload[:1] != bytes([polar_control.RESPONSE]):
            return
        answer = polar_control.read_response(payload)
        kind = answer.measurement
        if kind is None or answer.status is not Status.SUCCESS:
            return
        if answer.command is Command.START:
            stream = polar_control.stream_of(self._requested.get(kind, {}), answer)
            self._context = polar.with_stream(self._context, kind, stream)
            self._seams = dict.fromkeys(self._ends, True)
        elif answer.command is Command.STOP:
            self._context = polar.with_stream(self._context, kind, None)

    def _note_clock(self, frame: Frame) -> list[Item]:
        header = polar.read_header(Reader(frame.payload))
        if not header.time_ns:
            return []
        device_s = header.time_ns / NS_PER_SECOND
        reading = self._clock.add(device_s, frame.received.timestamp())
        offset_s = reading.host_s - device_reading(header.time_ns).timestamp()
        self._context = replace(self._context, clock_offset=timedelta(seconds=offset_s))
        if not reading.believed or self._doubted:
            self._forget_previous()
        self._doubted = not reading.believed
        if reading.jump_s is None:
            return []
        detail = f"clock_jump offset_s={reading.jump_s:.3f}"
        return [DeviceEvent(DeviceEventKind.STATUS, frame.received, self._context.source, detail)]

    def _forget_previous(self) -> None:
        """Times of before a jump say nothing about the spacing after it."""
        for kind, stream in self._context.polar.items():
            self._context = polar.with_stream(self._context, kind, replace(stream, previous_ns=None))
        for name in self._ends:
            self._seams.setdefault(name, False)
