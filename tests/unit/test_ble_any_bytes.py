"""Every decoder on any bytes, and encode-decode round trips: properties that hold for all inputs.

Bars: a decoder raises DecodeError or nothing; an error names an offset inside the payload; what it gives
is bounded by the payload; a payload that is cut or lengthened is never partly read.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.codes import Code
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Waveform
from edge_twin_adapters.ble import polar, polar_control
from edge_twin_adapters.ble.blood_pressure import CuffReading, encode_blood_pressure
from edge_twin_adapters.ble.cgm import CgmRecord, encode_cgm_measurement, read_cgm_records
from edge_twin_adapters.ble.cgm_control import (
    Calibration,
    Op,
    calibration_operand,
    encode_cgm_command,
    read_calibration,
)
from edge_twin_adapters.ble.cgm_feature import CgmFeature
from edge_twin_adapters.ble.cgm_session import (
    SessionStart,
    encode_cgm_feature,
    encode_session_start,
    read_cgm_feature,
    read_session_start,
)
from edge_twin_adapters.ble.crc import with_crc
from edge_twin_adapters.ble.current_time import CurrentTime, encode_current_time, read_current_time
from edge_twin_adapters.ble.date_time import DateTimeField
from edge_twin_adapters.ble.decode import DECODERS, decode
from edge_twin_adapters.ble.device_information import encode_string
from edge_twin_adapters.ble.environment import QUANTITIES, encode_environment
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.glucose import encode_glucose
from edge_twin_adapters.ble.glucose_context import GlucoseContext, encode_glucose_context, read_glucose_context
from edge_twin_adapters.ble.ieee11073 import Number, Special
from edge_twin_adapters.ble.oximeter import Oximetry, encode_continuous, encode_spot_check
from edge_twin_adapters.ble.record_access import (
    Count,
    Operator,
    Request,
    Response,
    encode_answer,
    encode_request,
    read_answer,
    read_request,
)
from edge_twin_adapters.ble.record_access import Op as RecordOp
from edge_twin_adapters.ble.running import RunningReading, encode_running, read_running
from edge_twin_adapters.ble.scales import encode_body_composition, encode_weight
from edge_twin_adapters.errors import DecodeError

RECEIVED = datetime(2020, 5, 11, 8, 38, 33, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")

CONTEXTS = [
    DecodeContext(),
    DecodeContext(patient_zone=BERLIN),
    DecodeContext(
        patient_zone=UTC,
        cgm_feature=CgmFeature(1 << 12, 0x59),
        cgm_session_start=RECEIVED - timedelta(days=3),
    ),
    DecodeContext(cgm_feature=CgmFeature(0, 0x4A), cgm_session_start=RECEIVED + timedelta(days=3)),
]
# A payload of 512 bytes holds at most 85 CGM records, each an observation and a battery event.
MOST_ITEMS = 300


def attempt(characteristic: str, payload: bytes, context: DecodeContext) -> list[Item] | None:
    """What a decoder makes of a payload, or None if it refuses; anything else fails the test."""
    offset, found = 0, None
    try:
        found = decode(characteristic, payload, RECEIVED, context=context)
    except DecodeError as error:
        offset = error.offset
    assert 0 <= offset <= len(payload)
    return found


def check(found: list[Item] | None) -> None:
    for item in found or ():
        first, last = (item.start, item.end) if isinstance(item, Waveform) else (item.time, item.time)
        assert last <= RECEIVED + timedelta(minutes=10)
        assert first >= RECEIVED - timedelta(days=400)
        if isinstance(item, Observation):
            assert math.isfinite(item.value)
    assert len(found or ()) <= MOST_ITEMS


CHARACTERISTICS = st.sampled_from(sorted(DECODERS))
TAILS = st.binary(max_size=40) | st.binary(min_size=490, max_size=520)


@given(CHARACTERISTICS, TAILS, st.sampled_from(CONTEXTS))
def test_any_bytes_are_decoded_or_refused(characteristic: str, payload: bytes, context: DecodeContext) -> None:
    check(attempt(characteristic, payload, context))


@given(CHARACTERISTICS, st.integers(0, 255), st.integers(0, 255), TAILS, st.sampled_from(CONTEXTS), st.booleans())
def test_any_bytes_with_a_good_crc(  # noqa: PLR0913, PLR0917 - one argument for each thing drawn
    characteristic: str,
    first: int,
    second: int,
    tail: bytes,
    context: DecodeContext,
    sized: bool,  # noqa: FBT001 - hypothesis
) -> None:
    """Random bytes never pass a CRC: here they do, and the size of a CGM record is right."""
    body = bytes([min(len(tail) + 4, 255) if sized else first, second]) + tail
    check(attempt(characteristic, with_crc(body), context))


# One payload of each characteristic with every field that its flags can announce.
FULL = {
    "2a37": "1f550032002100",
    "2a1c": "06b00e00fedc070c050b321b04",
    "2a1e": "06b00e00fedc070c050b321b04",
    "2a1d": "06",
    "2a5e": "0f62004800e407050b0a2621a0000010000cf0",
    "2a5f": "1f62004800610047006300460001001000000cf0",
    "2a35": "1e8a00580078000000041114293b3c00012700",
    "2a36": "1e0400000000000000041114293b3c00012700",
    "2a9d": "0eb036e407050b0a262101e500e406",
    "2a9c": "feaf1234e7070206121c002a23453456456756786789789a89ab9abcabcd",
    "2a18": "1b0100e307021b0b0a1efbff1e00120501",
    "2a34": "ff0000b303640004123c0032047bd059f1",
    "2aa7": "0fe3d2e405000214ff02f0e5f38e3f",
    "2aa8": "6e9e01168ac1",
    "2aa9": "05003f3fffa7e0",
    "2aaa": "e20704180d08180804e0c2",
    "2aab": "020008c3",
    "2aac": "0601200a00321400010004bfb2",
    "2a52": "06000101",
    "2a53": "070003125600010000f0",
    "2a6e": "fd09",
    "2a6f": "8813",
    "2a6d": "e4760f00",
    "2be7": "c800",
    "2b8c": "3412",
    "2a19": "5a",
    "2a2b": "e407050b0a2803018002",
    "2a23": "0102030405060708",
    "2a38": "01",
}
STRINGS = {"2a24", "2a25", "2a26", "2a27", "2a28", "2a29"}
# Ends after any whole sample or block; cut in test_ble_polar.py.
POLAR = {polar.CHARACTERISTIC, polar_control.CHARACTERISTIC}
# What is whole without its last two bytes: a record whose CRC is optional and not known to be there.
OPTIONAL_CRC = {"2aa9": 2, "2aaa": 2, "2aab": 2, "2aac": 2}


def test_every_characteristic_has_a_full_payload() -> None:
    assert set(FULL) | STRINGS | POLAR == set(DECODERS)


@pytest.mark.parametrize("characteristic", sorted(FULL))
def test_a_cut_payload_is_never_partly_read(characteristic: str) -> None:
    payload = bytes.fromhex(FULL[characteristic])
    assert attempt(characteristic, payload, CONTEXTS[1])
    whole = {len(payload) - OPTIONAL_CRC.get(characteristic, 0)}
    # A heart rate ends after any whole RR interval.
    whole |= {len(payload) - 2} if characteristic == "2a37" else set()
    for length in set(range(len(payload))) - whole:
        assert attempt(characteristic, payload[:length], CONTEXTS[1]) is None, length
    for tail in (b"\x00", b"\xff\xff\xff"):
        assert attempt(characteristic, payload + tail, CONTEXTS[1]) is None


@given(TAILS)
def test_the_fields_that_virtual_devices_read(payload: bytes) -> None:
    for read in (read_request, read_cgm_feature, read_session_start, read_running, read_answer, read_current_time):
        offset = 0
        try:
            read(payload)
        except DecodeError as error:
            offset = error.offset
        assert 0 <= offset <= len(payload)


# Round trips: what a virtual device encodes is what the decoder says.

MANTISSAS = st.integers(-2045, 2045)
NUMBERS: st.SearchStrategy[Number] = st.builds(
    lambda mantissa, exponent: Decimal((int(mantissa < 0), tuple(map(int, str(abs(mantissa)))), exponent)),
    MANTISSAS,
    st.integers(-8, 7),
) | st.sampled_from(list(Special))
PAIRS = st.builds(Oximetry, NUMBERS, NUMBERS)
STAMPS = st.datetimes(datetime(1583, 1, 1), datetime(9999, 12, 31)).map(  # noqa: DTZ001 - a clock without zone
    lambda t: DateTimeField(t.year, t.month, t.day, t.hour, t.minute, t.second)
)
MAYBE_STAMPS = st.none() | STAMPS
U8, U16, U24, U32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 24, 32))


def numbers(found: list[Item]) -> list[tuple[str, float | str]]:
    """Name and value of each observation; of each gap what it is about and why."""
    out: list[tuple[str, float | str]] = []
    for item in found:
        if isinstance(item, Observation):
            out.append((item.code.name, item.value))
        elif isinstance(item, DeviceEvent) and item.kind is DeviceEventKind.GAP:
            why, what = item.detail.split(" ")
            out.append((what, why))
    return out


def expected(code: Code, number: Number) -> tuple[str, float | str]:
    return (code.name, number.value) if isinstance(number, Special) else (code.name, float(number))


@given(PAIRS, MAYBE_STAMPS, st.none() | U16, st.none() | U24, st.none() | NUMBERS, st.booleans())
def test_spot_check_round_trip(  # noqa: PLR0913, PLR0917 - one argument for each field
    pair: Oximetry,
    stamp: DateTimeField | None,
    status: int | None,
    sensor: int | None,
    perfusion: Number | None,
    clock_set: bool,  # noqa: FBT001 - hypothesis
) -> None:
    payload = encode_spot_check(
        pair,
        device_time=stamp,
        measurement_status=status,
        sensor_status=sensor,
        perfusion=perfusion,
        clock_set=clock_set,
    )
    found = decode("2a5e", payload, RECEIVED)
    wanted = [expected(codes.OXYGEN_SATURATION, pair.saturation), expected(codes.PULSE_RATE, pair.pulse)]
    wanted += [] if perfusion is None else [expected(codes.PERFUSION_INDEX, perfusion)]
    assert numbers(found) == wanted
    for item in found:
        if isinstance(item, Observation):
            assert item.attributes.get("device_time") == (stamp.text if stamp else None)
            assert ("measurement_status" in item.attributes) == (status is not None)
            assert ("sensor_status" in item.attributes) == (sensor is not None)


@given(PAIRS, st.none() | PAIRS, st.none() | PAIRS, st.none() | U16, st.none() | U24, st.none() | NUMBERS)
def test_continuous_oximetry_round_trip(  # noqa: PLR0913, PLR0917 - one argument for each field
    pair: Oximetry,
    fast: Oximetry | None,
    slow: Oximetry | None,
    status: int | None,
    sensor: int | None,
    perfusion: Number | None,
) -> None:
    payload = encode_continuous(
        pair, fast=fast, slow=slow, measurement_status=status, sensor_status=sensor, perfusion=perfusion
    )
    wanted = []
    for one in (pair, fast, slow):
        if one is not None:
            wanted += [expected(codes.OXYGEN_SATURATION, one.saturation), expected(codes.PULSE_RATE, one.pulse)]
    wanted += [] if perfusion is None else [expected(codes.PERFUSION_INDEX, perfusion)]
    assert numbers(decode("2a5f", payload, RECEIVED)) == wanted


@given(NUMBERS, NUMBERS, NUMBERS, st.none() | NUMBERS, MAYBE_STAMPS, st.none() | U8, st.none() | U16)
def test_blood_pressure_round_trip(  # noqa: PLR0913, PLR0917 - one argument for each field
    systolic: Number,
    diastolic: Number,
    mean: Number,
    pulse: Number | None,
    stamp: DateTimeField | None,
    user: int | None,
    status: int | None,
) -> None:
    reading = CuffReading(systolic, diastolic, mean, pulse)
    payload = encode_blood_pressure(reading, device_time=stamp, user=user, status=status)
    found = numbers(decode("2a35", payload, RECEIVED))
    if isinstance(systolic, Special) or isinstance(diastolic, Special):
        assert [name for name, _ in found] == ["blood_pressure"]
        return
    wanted = [expected(codes.SYSTOLIC_PRESSURE, systolic), expected(codes.DIASTOLIC_PRESSURE, diastolic)]
    wanted += [] if isinstance(mean, Special) else [expected(codes.MEAN_ARTERIAL_PRESSURE, mean)]
    wanted += [] if pulse is None else [expected(codes.PULSE_RATE_CUFF, pulse)]
    assert found == wanted


@given(st.integers(0, 65534), st.booleans(), MAYBE_STAMPS, st.none() | U8, st.none() | st.tuples(U16, U16))
def test_weight_round_trip(
    count: int,
    imperial: bool,  # noqa: FBT001 - hypothesis
    stamp: DateTimeField | None,
    user: int | None,
    body: tuple[int, int] | None,
) -> None:
    weight = Decimal(count) * Decimal("0.01" if imperial else "0.005")
    index = None if body is None else Decimal(body[0]) * Decimal("0.1")
    height = None if body is None else Decimal(body[1]) * Decimal("0.1" if imperial else "0.001")
    payload = encode_weight(
        weight, imperial=imperial, device_time=stamp, user=user, body_mass_index=index, height=height
    )
    found = dict(numbers(decode("2a9d", payload, RECEIVED)))
    assert found["body_weight"] == float(weight * Decimal("0.45359237") if imperial else weight)
    if index is not None and height is not None:
        assert found["body_mass_index"] == float(index)
        assert found["body_height"] == float(height * Decimal("0.0254") if imperial else height)
    assert len(found) == (1 if body is None else 3)


COUNTS = {
    codes.BASAL_METABOLISM: "1",
    codes.MUSCLE_PERCENTAGE: "0.1",
    codes.MUSCLE_MASS: "0.005",
    codes.FAT_FREE_MASS: "0.005",
    codes.SOFT_LEAN_MASS: "0.005",
    codes.BODY_WATER_MASS: "0.005",
    codes.BODY_IMPEDANCE: "0.1",
    codes.BODY_WEIGHT: "0.005",
    codes.BODY_HEIGHT: "0.001",
}


@given(st.integers(0, 65534), st.dictionaries(st.sampled_from(list(COUNTS)), U16), MAYBE_STAMPS, st.none() | U8)
def test_body_composition_round_trip(
    fat: int, counts: dict[Code, int], stamp: DateTimeField | None, user: int | None
) -> None:
    sent = {code: Decimal(count) * Decimal(COUNTS[code]) for code, count in counts.items()}
    payload = encode_body_composition(Decimal(fat) * Decimal("0.1"), sent, device_time=stamp, user=user)
    found = dict(numbers(decode("2a9c", payload, RECEIVED)))
    assert found == {"body_fat": float(Decimal(fat) * Decimal("0.1"))} | {
        code.name: float(value) for code, value in sent.items()
    }


@given(U16, STAMPS, st.none() | NUMBERS, st.booleans(), U8, st.none() | st.integers(-1440, 1440), st.none() | U16)
def test_glucose_round_trip(  # noqa: PLR0913, PLR0917 - one argument for each field
    sequence: int,
    stamp: DateTimeField,
    concentration: Number | None,
    molar: bool,  # noqa: FBT001 - hypothesis
    specimen: int,
    offset: int | None,
    status: int | None,
) -> None:
    if stamp.year in {1583, 9999}:
        return
    payload = encode_glucose(
        sequence,
        stamp,
        concentration=concentration,
        molar=molar,
        type_and_location=specimen,
        offset_minutes=offset,
        status=status,
    )
    values = numbers(decode("2a18", payload, RECEIVED))
    assert len(values) == 1
    if isinstance(concentration, Decimal):
        assert values[0][1] == float(concentration * Decimal("1E3" if molar else "1E5"))
        (reading,) = (item for item in decode("2a18", payload, RECEIVED) if isinstance(item, Observation))
        assert reading.attributes["record_sequence"] == str(sequence)
        assert reading.attributes["device_time"] == stamp.plus_minutes(offset or 0).text
        assert reading.code.unit == ("mmol/L" if molar else "mg/dL")


AMOUNTS = st.none() | st.tuples(U8, NUMBERS)
TOLD = st.builds(
    GlucoseContext,
    U16,
    carbohydrate=AMOUNTS,
    meal=st.none() | U8,
    tester_health=st.none() | U8,
    exercise=st.none() | st.tuples(U16, U8),
    medication=AMOUNTS,
    litres=st.booleans(),
    hba1c=st.none() | NUMBERS,
)


@given(TOLD)
def test_glucose_context_round_trip(told: GlucoseContext) -> None:
    payload = encode_glucose_context(told)
    assert read_glucose_context(payload) == told
    (only,) = decode("2a34", payload, RECEIVED)
    assert isinstance(only, DeviceEvent)
    assert only.detail.startswith(f"glucose_context record_sequence={told.sequence}")


RECORDS = st.builds(CgmRecord, NUMBERS, U16, U24, st.none() | NUMBERS, st.none() | NUMBERS)


@given(st.lists(RECORDS, min_size=1, max_size=20), st.booleans(), st.booleans())
def test_cgm_round_trip(records: list[CgmRecord], crc: bool, known: bool) -> None:  # noqa: FBT001 - hypothesis
    payload = encode_cgm_measurement(records, crc=crc)
    assert list(read_cgm_records(payload, crc=crc if known else None)) == records
    context = DecodeContext(cgm_feature=CgmFeature(1 << 12 if crc else 0, 0x59) if known else None)
    wanted = [expected(codes.GLUCOSE_INTERSTITIAL, one.concentration) for one in records]
    assert numbers(decode("2aa7", payload, RECEIVED, context=context)) == wanted


@given(st.lists(RECORDS, min_size=1, max_size=5), st.data())
def test_one_flipped_bit_of_a_checked_record_is_never_taken(records: list[CgmRecord], data: st.DataObject) -> None:
    payload = bytearray(encode_cgm_measurement(records, crc=True))
    bit = data.draw(st.integers(0, 8 * len(payload) - 1))
    payload[bit // 8] ^= 1 << bit % 8
    context = DecodeContext(cgm_feature=CgmFeature(1 << 12, 0x59))
    with pytest.raises(DecodeError):
        decode("2aa7", bytes(payload), RECEIVED, context=context)


@given(U24, U8)
def test_cgm_feature_round_trip(bits: int, specimen: int) -> None:
    assert read_cgm_feature(encode_cgm_feature(CgmFeature(bits, specimen))) == CgmFeature(bits, specimen)


@given(STAMPS, st.integers(-128, 127), U8, st.booleans())
def test_session_start_round_trip(stamp: DateTimeField, zone: int, daylight: int, crc: bool) -> None:  # noqa: FBT001
    start = SessionStart(stamp, zone, daylight)
    assert read_session_start(encode_session_start(start, crc=crc), crc=crc) == start
    moment = start.moment(BERLIN)
    assert moment is None or moment.tzinfo is UTC


@given(NUMBERS, U16, U8, U16, U16, U8, st.booleans())
def test_calibration_round_trip(  # noqa: PLR0913, PLR0917 - one argument for each field
    level: Number,
    minutes: int,
    specimen: int,
    due: int,
    number: int,
    status: int,
    crc: bool,  # noqa: FBT001 - hypothesis
) -> None:
    one = Calibration(level, minutes, specimen, due, number, status)
    assert read_calibration(Reader(calibration_operand(one))) == one
    payload = encode_cgm_command(Op.CALIBRATION, calibration_operand(one), crc=crc)
    context = DecodeContext(cgm_feature=CgmFeature(1 << 12 if crc else 0, 0x59))
    assert len(decode("2aac", payload, RECEIVED, context=context)) == 1


@given(st.builds(RunningReading, U16, U8, st.none() | U16, st.none() | U32, st.booleans()))
def test_running_round_trip(reading: RunningReading) -> None:
    payload = encode_running(reading)
    assert read_running(payload) == reading
    assert dict(numbers(decode("2a53", payload, RECEIVED)))["speed"] == reading.speed_256 / 256


@given(st.sampled_from(sorted(QUANTITIES)), st.data())
def test_environment_round_trip(characteristic: str, data: st.DataObject) -> None:
    quantity = QUANTITIES[characteristic]
    half = 2 ** (8 * quantity.size - 1)
    count = data.draw(st.integers(-half, half - 1) if quantity.signed else st.integers(0, 2 * half - 1))
    value = None if count == quantity.unknown else Decimal(count) * Decimal(quantity.step)
    found = numbers(decode(characteristic, encode_environment(characteristic, value), RECEIVED))
    assert found == [(quantity.code.name, "value_not_known" if value is None else float(value))]


@given(STAMPS, st.integers(0, 7), U8, U8)
def test_current_time_round_trip(stamp: DateTimeField, weekday: int, fractions: int, adjusted: int) -> None:
    now = CurrentTime(stamp, weekday, fractions, adjusted)
    assert read_current_time(encode_current_time(now)) == now


@given(st.text(max_size=40).filter(str.isprintable))
def test_string_round_trip(text: str) -> None:
    (told,) = decode("2a29", encode_string(text), RECEIVED)
    assert isinstance(told, DeviceEvent)
    assert told.detail == f"manufacturer_name={text}"


@given(st.sampled_from([RecordOp.REPORT, RecordOp.DELETE, RecordOp.COUNT]), st.sampled_from(list(Operator)), U16, U16)
def test_record_request_round_trip(op: RecordOp, operator: Operator, low: int, high: int) -> None:
    bounds = {Operator.UP_TO: (low,), Operator.FROM: (low,), Operator.WITHIN: (low, high)}.get(operator, ())
    request = Request(op, operator, bounds)
    assert read_request(encode_request(request)) == request


@given(st.builds(Count, U16) | st.builds(Response, U8, U8))
def test_record_answer_round_trip(answer: Count | Response) -> None:
    assert read_answer(encode_answer(answer)) == answer


@given(st.integers(0, 65534))
def test_the_applications_decimal_context_changes_nothing(count: int) -> None:
    payload = encode_weight(Decimal(count) * Decimal("0.01"), imperial=True)
    wanted = numbers(decode("2a9d", payload, RECEIVED))
    with localcontext(Context(prec=2, rounding=ROUND_HALF_EVEN)):
        assert numbers(decode("2a9d", payload, RECEIVED)) == wanted
