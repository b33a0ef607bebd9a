"""What the fuzz job throws bytes at, and what must hold for every input.

Bars: nothing but the documented error comes out; an error names an offset inside the payload; what comes out is
finite, not in the future, and bounded by what went in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

from edge_twin.observation import Observation, Waveform
from edge_twin_adapters import ble
from edge_twin_adapters.ble import cgm_session, polar_control, record_access
from edge_twin_adapters.ble.advertisement import MANUFACTURER_DATA, SERVICE_DATA, decode_advertisement
from edge_twin_adapters.ble.cgm_feature import CgmFeature
from edge_twin_adapters.ble.decode import DECODERS, decode
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.interpreter import Interpreter
from edge_twin_adapters.ble.mailbox import Frame
from edge_twin_adapters.ble.polar_control import Command, Setting
from edge_twin_adapters.ble.polar_sensor import PolarSensor
from edge_twin_adapters.ble.polar_stream import Measurement
from edge_twin_adapters.ble.vendor_map import VendorMap, load_vendor_map, read_vendor_map
from edge_twin_adapters.errors import DecodeError, VendorMapError

RECEIVED = datetime(2024, 5, 11, 8, 38, 33, tzinfo=UTC)
SHIPPED_MAP = Path(ble.__file__).parent / "maps" / "enose_bme688.toml"
VENDOR = load_vendor_map(SHIPPED_MAP)
CONTEXTS = (
    DecodeContext(vendor=VENDOR),
    DecodeContext(patient_zone=ZoneInfo("Europe/Berlin"), cgm_session_start=RECEIVED - timedelta(days=3)),
    DecodeContext(patient_zone=UTC, cgm_feature=CgmFeature(1 << 12, 0x59), cgm_session_start=RECEIVED),
    DecodeContext(cgm_feature=CgmFeature(0, 0x4A), clock_offset=timedelta(seconds=5)),
)
CHARACTERISTICS = (*sorted(DECODERS), *sorted(VENDOR))
SERVICES = tuple(sorted(SERVICE_DATA))
COMPANIES = tuple(sorted(MANUFACTURER_DATA))

# 512 bytes of differences of one bit hold 255 samples of 16 channels for each 32 bytes of header.
MOST_NUMBERS_A_BYTE = 64
MOST_FRAMES = 4096
LONGEST_CLOCK_AHEAD = timedelta(minutes=10)
OFFERS: Mapping[Measurement, Mapping[Setting, tuple[int, ...]]] = MappingProxyType(
    {
        Measurement.ECG: {Setting.SAMPLE_RATE: (130,), Setting.RESOLUTION: (14,)},
        Measurement.ACC: {Setting.SAMPLE_RATE: (25, 50), Setting.RESOLUTION: (16,), Setting.RANGE: (2, 8)},
    }
)


class BrokenPromiseError(AssertionError):
    """A bar does not hold."""


def demand(holds: object, what: str) -> None:
    if not holds:
        raise BrokenPromiseError(what)


def check(items: list[Item], size: int) -> None:
    """What holds of everything that is decoded from ``size`` bytes."""
    demand(sum(_numbers(item) for item in items) <= MOST_NUMBERS_A_BYTE * max(size, 1), "more came out than went in")
    for item in items:
        last = item.end if isinstance(item, Waveform) else item.time
        demand(last <= RECEIVED + LONGEST_CLOCK_AHEAD, "from the future")
        if isinstance(item, Observation):
            demand(math.isfinite(item.value), "not finite")


def _numbers(item: Item) -> int:
    if not isinstance(item, Waveform):
        return 1
    demand(all(math.isfinite(value) for row in item.samples for value in row), "a sample is not finite")
    return len(item.samples) * len(item.channels)


def attempt(characteristic: str, payload: bytes, context: DecodeContext) -> list[Item]:
    try:
        items = decode(characteristic, payload, RECEIVED, context=context)
    except DecodeError as error:
        demand(0 <= error.offset <= len(payload), "the offset is outside")
        return []
    check(items, len(payload))
    return items


def fuzz_decode(data: bytes) -> None:
    """[characteristic][context][payload]."""
    if len(data) >= 2:
        characteristic = CHARACTERISTICS[data[0] % len(CHARACTERISTICS)]
        attempt(characteristic, data[2:], CONTEXTS[data[1] % len(CONTEXTS)])


def fuzz_session(data: bytes) -> None:
    """Values of one device one after the other, each [length][characteristic][payload], as the client takes them.

    The client learns from what it cannot trust: rates, clocks, features, sessions, duplicates, gaps.
    """
    interpreter = Interpreter(CONTEXTS[1])
    for number, chunk in enumerate(chunks(data)):
        characteristic = CHARACTERISTICS[(chunk[0] & 0x7F) % len(CHARACTERISTICS)]
        received = RECEIVED - timedelta(seconds=MOST_FRAMES - number)
        frame = Frame(characteristic, chunk[1:], received, outgoing=bool(chunk[0] & 0x80) and is_request(chunk[1:]))
        try:
            check(interpreter.items(frame), len(data))
        except DecodeError as error:
            demand(0 <= error.offset <= len(chunk), "the offset is outside")
    check(interpreter.link_lost(), len(data))


def is_request(payload: bytes) -> bool:
    """Whether it could be a start request of our own: what the client writes is not under the device's control."""
    try:
        settings = polar_control.read_settings(payload[2:])
        Measurement(payload[1])
    except (DecodeError, ValueError, IndexError):
        return False
    return payload[0] == Command.START and all(settings.values())


def chunks(data: bytes) -> Iterator[bytes]:
    while len(data) > 1:
        size = 1 + data[0]
        if chunk := data[1 : 1 + size]:
            yield chunk
        data = data[1 + size :]


def fuzz_advertisement(data: bytes) -> None:
    """[how many services][payloads, each with its length]."""
    if not data:
        return
    parts = list(chunks(data[1:]))
    split = data[0] % (len(SERVICES) + 1)
    services = {SERVICES[part[0] % len(SERVICES)]: part[1:] for part in parts[:split]}
    companies = {COMPANIES[part[0] % len(COMPANIES)]: part[1:] for part in parts[split:]}
    try:
        items = decode_advertisement(services, companies, RECEIVED, context=CONTEXTS[1])
    except DecodeError as error:
        demand(0 <= error.offset <= len(data), "the offset is outside")
        return
    check(items, len(data))


def fuzz_vendor_map(data: bytes) -> None:
    """[form][length of a payload][payload][a map in TOML or JSON]."""
    if len(data) < 2:
        return
    payload, document = data[2 : 2 + data[1]], data[2 + data[1] :]
    try:
        described: VendorMap = read_vendor_map(document, json_form=bool(data[0] & 1))
    except VendorMapError:
        return
    for uuid in described:
        attempt(uuid, payload, DecodeContext(vendor=described))


def fuzz_control(data: bytes) -> None:
    """[parser][payload]: control points, settings and what must be read before a device is used."""
    if data:
        parsers = tuple(PARSERS.values())
        try:
            parsers[data[0] % len(parsers)](data[1:])
        except DecodeError as error:
            demand(0 <= error.offset <= len(data), "the offset is outside")


def _sensor_answers(request: bytes) -> object:
    """A sensor answers any request with a response that can be read."""
    return polar_control.read_response(PolarSensor(OFFERS, {Measurement.ACC: 2.44e-4}).answer(request))


PARSERS: Mapping[str, Callable[[bytes], object]] = {
    "polar_response": polar_control.read_response,
    "polar_settings": polar_control.read_settings,
    "polar_features": polar_control.read_features,
    "polar_sensor": _sensor_answers,
    "record_request": record_access.read_request,
    "record_answer": record_access.read_answer,
    "cgm_feature": cgm_session.read_cgm_feature,
    "cgm_session_start": cgm_session.read_session_start,
}
TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "decode": fuzz_decode,
    "session": fuzz_session,
    "advertisement": fuzz_advertisement,
    "vendor_map": fuzz_vendor_map,
    "control": fuzz_control,
}


def run_one(data: bytes) -> None:
    """One input; its first byte names the target.

    Raises:
        BrokenPromiseError: a bar does not hold; anything else that escapes is a finding too.
    """
    if data:
        targets = tuple(TARGETS.values())
        targets[data[0] % len(targets)](data[1:])
