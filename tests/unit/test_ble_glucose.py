"""Glucose, continuous glucose and record access: published vectors, times, checksums and refusals.

Vectors: tests of NordicSemiconductor/Android-BLE-Common-Library; those that are computed here say so.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Quality
from edge_twin_adapters.ble.cgm import CgmRecord, encode_cgm_measurement
from edge_twin_adapters.ble.cgm_control import (
    Calibration,
    Op,
    calibration_operand,
    encode_cgm_command,
    level_operand,
    response_operand,
)
from edge_twin_adapters.ble.cgm_feature import CgmFeature
from edge_twin_adapters.ble.cgm_session import (
    SessionStart,
    encode_cgm_feature,
    encode_cgm_status,
    encode_session_run_time,
    encode_session_start,
    read_cgm_feature,
    read_session_start,
)
from edge_twin_adapters.ble.crc import crc16
from edge_twin_adapters.ble.date_time import DateTimeField, as_field
from edge_twin_adapters.ble.decode import decode
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.glucose import encode_glucose, mg_per_dl, mmol_per_l
from edge_twin_adapters.ble.glucose_context import GlucoseContext, encode_glucose_context
from edge_twin_adapters.ble.ieee11073 import Special
from edge_twin_adapters.ble.record_access import (
    Answer,
    Count,
    Filter,
    Operator,
    Request,
    Response,
    encode_answer,
    encode_request,
    read_answer,
    read_request,
    report_from,
)
from edge_twin_adapters.ble.record_access import Op as RecordOp
from edge_twin_adapters.errors import AdapterError, DecodeError

RECEIVED = datetime(2020, 5, 11, 8, 38, 33, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
IN_BERLIN = DecodeContext(patient_zone=BERLIN)
INTERSTITIAL, SUBCUTANEOUS = 9, 5 << 4
WITH_CRC = CgmFeature(1 << 12, INTERSTITIAL | SUBCUTANEOUS)
WITHOUT_CRC = CgmFeature(0, INTERSTITIAL | SUBCUTANEOUS)


def items(characteristic: str, payload: str | bytes, context: DecodeContext | None = None) -> list[Item]:
    raw = bytes.fromhex(payload) if isinstance(payload, str) else payload
    return decode(characteristic, raw, RECEIVED, context=context)


def observations(characteristic: str, payload: str | bytes, context: DecodeContext | None = None) -> list[Observation]:
    return [item for item in items(characteristic, payload, context) if isinstance(item, Observation)]


def detail(characteristic: str, payload: str | bytes, context: DecodeContext | None = None) -> str:
    (only,) = items(characteristic, payload, context)
    assert isinstance(only, DeviceEvent)
    return only.detail


def refusal(characteristic: str, payload: str | bytes, context: DecodeContext | None = None) -> tuple[str, int]:
    with pytest.raises(DecodeError) as caught:
        items(characteristic, payload, context)
    return caught.value.reason, caught.value.offset


# Glucose

GLUCOSE = "1b0100e307021b0b0a1efbff1e00120501"
GLUCOSE_TIME = datetime(2019, 2, 27, 11, 5, 30, tzinfo=BERLIN)


def test_glucose_vector() -> None:
    received = GLUCOSE_TIME.astimezone(UTC) + timedelta(days=2)
    found = decode("2A18", bytes.fromhex(GLUCOSE), received, context=IN_BERLIN)
    battery, reading = found
    assert isinstance(battery, DeviceEvent)
    assert isinstance(reading, Observation)
    assert battery.kind is DeviceEventKind.BATTERY_LOW
    assert (reading.code.name, reading.code.unit, reading.value) == ("glucose_capillary", "mg/dL", 3_000_000.0)
    assert reading.time == GLUCOSE_TIME
    assert dict(reading.attributes) == {
        "device_time": "2019-02-27T11:05:30",
        "time_source": "device",
        "recorded": "stored",
        "record_sequence": "1",
        "context": "follows",
        "sample_type": "capillary_plasma",
        "sample_location": "finger",
        "measurement_status": "battery_low,sample_insufficient,temperature_too_low",
    }
    assert reading.quality is Quality.INVALID


def test_a_record_of_a_real_meter() -> None:
    """An Accu-Chek Guide, quoted in a forum as text in which the bytes above 7F had become UTF-8."""
    received = datetime(2020, 7, 14, 19, 10, 0, tzinfo=UTC)
    payload = bytes.fromhex("1b0400e407070e0b06055a0277b0f80000")
    (reading,) = decode("2a18", payload, received, context=IN_BERLIN)
    assert isinstance(reading, Observation)
    assert (reading.code.name, reading.value, reading.quality) == ("glucose_plasma", 119.0, Quality.GOOD)
    # 11:06:05 and 602 minutes, on a clock two hours ahead of UTC.
    assert reading.time == datetime(2020, 7, 14, 19, 8, 5, tzinfo=UTC)
    assert reading.attributes["sample_type"] == "undetermined_plasma"
    assert reading.attributes["sample_location"] == "not_available"
    assert reading.attributes["measurement_status"] == "none"


def test_glucose_vector_without_its_time_offset_is_refused() -> None:
    assert refusal("2a18", "1b0000e207041a0b091e1e00120501")[0] == "truncated"


NOW = as_field(RECEIVED.astimezone(BERLIN))


@pytest.mark.parametrize(
    ("specimen", "mass", "molar", "quality"),
    [
        (0x11, "glucose_capillary", "glucose_capillary_molar", Quality.GOOD),
        (0x13, "glucose_blood", "glucose_blood_molar", Quality.GOOD),
        (0x14, "glucose_plasma", "glucose_plasma_molar", Quality.GOOD),
        (0x59, "glucose_interstitial", "glucose_interstitial_molar", Quality.GOOD),
        (0xF7, "glucose_blood", "glucose_blood_molar", Quality.GOOD),
        (0x4A, "glucose_blood", "glucose_blood_molar", Quality.INVALID),
        (0x1F, "glucose_blood", "glucose_blood_molar", Quality.GOOD),
    ],
)
def test_glucose_by_specimen_and_unit(specimen: int, mass: str, molar: str, quality: Quality) -> None:
    in_mass = encode_glucose(7, NOW, concentration=mg_per_dl(Decimal(112)), type_and_location=specimen)
    in_moles = encode_glucose(8, NOW, concentration=mmol_per_l(Decimal("6.2")), molar=True, type_and_location=specimen)
    (first,) = observations("2a18", in_mass, IN_BERLIN)
    (second,) = observations("2a18", in_moles, IN_BERLIN)
    assert (first.code.name, first.code.unit, first.value, first.quality) == (mass, "mg/dL", 112.0, quality)
    assert (second.code.name, second.code.unit, second.value, second.quality) == (molar, "mmol/L", 6.2, quality)
    assert first.time == RECEIVED


def test_a_record_without_a_known_time_is_kept_and_never_used() -> None:
    payload = encode_glucose(7, NOW, concentration=mg_per_dl(Decimal(112)))
    (reading,) = observations("2a18", payload)
    assert (reading.time, reading.quality) == (RECEIVED, Quality.INVALID)
    assert reading.attributes["time_reason"] == "zone_unknown"


def test_a_record_without_concentration_is_a_gap() -> None:
    for concentration in (None, Special.NAN, Special.NRES):
        (gap,) = items("2a18", encode_glucose(7, NOW, concentration=concentration), IN_BERLIN)
        assert isinstance(gap, DeviceEvent)
        assert gap.kind is DeviceEventKind.GAP


@pytest.mark.parametrize("bit", range(1, 11))
def test_a_sensor_fault_makes_glucose_invalid(bit: int) -> None:
    payload = encode_glucose(7, NOW, concentration=mg_per_dl(Decimal(112)), status=1 << bit)
    (reading,) = observations("2a18", payload, IN_BERLIN)
    assert reading.quality is Quality.INVALID
    assert not reading.is_usable


def test_a_time_offset_beyond_the_calendar_is_refused() -> None:
    payload = encode_glucose(7, DateTimeField(9999, 12, 31, 23, 59, 0), concentration=None, offset_minutes=5)
    assert refusal("2a18", payload) == ("invalid_time", 3)


def test_a_time_offset_moves_a_clock_without_a_date() -> None:
    payload = encode_glucose(7, DateTimeField(2020, 0, 0, 23, 59, 0), concentration=None, offset_minutes=5)
    (gap,) = items("2a18", payload)
    assert isinstance(gap, DeviceEvent)
    assert gap.time == RECEIVED
    assert DateTimeField(2020, 0, 0, 23, 59, 0).plus_minutes(5) == DateTimeField(2020, 0, 0, 0, 4, 0)


def test_glucose_context_vector() -> None:
    """The Nordic test's fields; its two amounts are replaced by ones that an SFLOAT holds."""
    payload = bytes.fromhex("ff0000b3") + bytes([3]) + bytes.fromhex("6400") + bytes([4, 0x12]) + bytes.fromhex("3c00")
    payload += bytes([50, 4]) + bytes.fromhex("7bd0") + bytes.fromhex("59f1")
    assert detail("2A34", payload) == (
        "glucose_context record_sequence=0 carbohydrate=dinner carbohydrate_g=100000 meal=casual "
        "tester=professional health=minor_issues exercise_s=60 exercise_percent=50 "
        "medication=long_insulin medication_ml=123 hba1c_percent=34.5"
    )
    assert refusal("2a34", payload[:5]) == ("truncated", 5)
    assert refusal("2a34", payload + b"\0") == ("trailing_bytes", 17)


def test_an_empty_glucose_context() -> None:
    assert detail("2a34", "000100") == "glucose_context record_sequence=1"
    told = GlucoseContext(9, exercise=(0xFFFF, 80), carbohydrate=(9, Special.NAN))
    assert detail("2a34", encode_glucose_context(told)) == (
        "glucose_context record_sequence=9 carbohydrate=reserved_9 carbohydrate_g=not_a_number "
        "exercise_s=over_65535 exercise_percent=80"
    )


# Continuous glucose

CGM = "0fe3d2e405000214ff02f0e5f38e3f"


@pytest.mark.parametrize("feature", [None, WITH_CRC])
def test_cgm_vector_with_crc(feature: CgmFeature | None) -> None:
    start = RECEIVED - timedelta(minutes=5)
    context = DecodeContext(cgm_feature=feature, cgm_session_start=start)
    reading, battery = items("2AA7", CGM, context)
    assert isinstance(reading, Observation)
    assert (reading.value, reading.code.unit, reading.time) == (12.34, "mg/dL", RECEIVED)
    assert reading.code.code == "99504-3"
    assert reading.attributes["trend_mg_dl_min"] == "0.2"
    assert reading.attributes["quality_percent"] == "99.7"
    assert reading.attributes["session_minutes"] == "5"
    assert reading.attributes["measurement_status"] == (
        "battery_low,calibration_recommended,temperature_too_high,below_patient_low,above_patient_high,"
        "below_hypo,above_hyper,fall_exceeded,rise_exceeded,below_device_range,above_device_range"
    )
    assert reading.quality is Quality.INVALID
    assert isinstance(battery, DeviceEvent)
    assert battery.kind is DeviceEventKind.BATTERY_LOW


def test_cgm_vectors_without_crc() -> None:
    (reading,) = observations("2aa7", "06000b102d00")
    assert (reading.value, reading.time, reading.quality) == (110.0, RECEIVED, Quality.QUESTIONABLE)
    assert reading.attributes["time_reason"] == "session_start_unknown"
    first, second = observations("2aa7", "06000c10050006000c100600")
    assert [(one.value, one.attributes["session_minutes"]) for one in (first, second)] == [(120.0, "5"), (120.0, "6")]
    assert first.id != second.id


def test_a_wrong_crc_gives_no_record_at_all() -> None:
    good = "08000c100600596f"
    (reading,) = observations("2aa7", good)
    assert reading.value == 120.0
    assert refusal("2aa7", "08000c100600586f") == ("wrong_crc", 6)
    assert refusal("2aa7", good + "08000c100600586f") == ("wrong_crc", 14)


def test_a_crc_must_be_there_exactly_if_the_sensor_has_it() -> None:
    bare, secured = "06000c100600", "08000c100600596f"
    assert refusal("2aa7", bare, DecodeContext(cgm_feature=WITH_CRC)) == ("bad_size", 0)
    assert refusal("2aa7", secured, DecodeContext(cgm_feature=WITHOUT_CRC)) == ("bad_size", 0)
    assert observations("2aa7", bare, DecodeContext(cgm_feature=WITHOUT_CRC))[0].value == 120.0
    assert observations("2aa7", secured, DecodeContext(cgm_feature=WITH_CRC))[0].value == 120.0


@pytest.mark.parametrize(
    ("payload", "refused"),
    [
        ("", ("truncated", 0)),
        ("06e30c1006", ("truncated", 0)),
        ("07e30c10060000", ("bad_size", 0)),
        ("05000c1006", ("bad_size", 0)),
        ("00", ("bad_size", 0)),
        ("06000c10050006000c1006", ("truncated", 6)),
        ("06000c10050000", ("bad_size", 6)),
        ("09000c100600000000", ("bad_size", 0)),
        ("06000c100600" * 86, ("too_long", 512)),
    ],
)
def test_cgm_payloads_that_are_refused(payload: str, refused: tuple[str, int]) -> None:
    assert refusal("2aa7", payload) == refused


def test_cgm_records_are_placed_by_the_session() -> None:
    start = RECEIVED - timedelta(hours=3)
    context = DecodeContext(cgm_feature=WITHOUT_CRC, cgm_session_start=start)
    records = [CgmRecord(Decimal(100 + n), 5 * n) for n in (0, 1, 36, 40)]
    found = observations("2aa7", encode_cgm_measurement(records), context)
    assert [one.time - start for one in found] == [timedelta(minutes=m) for m in (0, 5, 180, 180)]
    assert [one.quality for one in found] == [
        Quality.QUESTIONABLE,
        Quality.QUESTIONABLE,
        Quality.GOOD,
        Quality.QUESTIONABLE,
    ]
    assert [one.attributes.get("recorded") for one in found] == ["stored", "stored", None, None]
    assert found[3].attributes["time_reason"] == "device_clock_ahead"


def test_glucose_that_is_no_number_is_a_gap_and_the_other_records_stay() -> None:
    payload = encode_cgm_measurement([CgmRecord(Special.NAN, 5), CgmRecord(Decimal(99), 10)])
    gap, reading = items("2aa7", payload)
    assert isinstance(gap, DeviceEvent)
    assert (gap.kind, gap.detail) == (DeviceEventKind.GAP, "not_a_number glucose_interstitial")
    assert isinstance(reading, Observation)


def test_control_solution_is_not_the_patient() -> None:
    context = DecodeContext(cgm_feature=CgmFeature(0, 0x4A), cgm_session_start=RECEIVED)
    (reading,) = observations("2aa7", encode_cgm_measurement([CgmRecord(Decimal(99), 0)]), context)
    assert (reading.quality, reading.attributes["sample_type"]) == (Quality.INVALID, "control_solution")


def test_cgm_feature_vectors() -> None:
    feature = read_cgm_feature(bytes.fromhex("6e9e01168ac1"))
    assert (feature.has_crc, feature.bits, feature.type_and_location) == (True, 0x19E6E, 0x16)
    told = detail("2AA8", "6e9e01168ac1")
    assert told.startswith("cgm_feature sample_type=arterial_plasma sample_location=finger features=patient_alerts,")
    assert told.endswith(",e2e_crc,trend,quality")
    assert not read_cgm_feature(bytes.fromhex("6e8e0116ffff")).has_crc
    assert refusal("2aa8", "6e9e0116afbe") == ("wrong_crc", 4)
    assert refusal("2aa8", "6e8e0116afbe") == ("wrong_crc", 4)
    assert refusal("2aa8", "6e8e0116") == ("truncated", 4)


def test_cgm_status_vectors() -> None:
    told, battery = items("2AA9", "05003f3fffa7e0")
    assert isinstance(told, DeviceEvent)
    assert told.kind is DeviceEventKind.STATUS
    assert told.detail.startswith("cgm_status session_minutes=5 status=session_stopped,battery_low,")
    assert isinstance(battery, DeviceEvent)
    assert detail("2aa9", "0600010101") == (
        "cgm_status session_minutes=6 status=session_stopped,time_synchronisation_required,below_patient_low"
    )
    assert refusal("2aa9", "0600010101a7e0") == ("wrong_crc", 5)
    assert refusal("2aa9", "060001010101") == ("trailing_bytes", 5)
    assert refusal("2aa9", "0600010101", DecodeContext(cgm_feature=WITH_CRC))[0] == "wrong_crc"


def test_session_start_vectors() -> None:
    start = read_session_start(bytes.fromhex("e20704180d08180804e0c2"))
    assert start == SessionStart(DateTimeField(2018, 4, 24, 13, 8, 24), 8, 4)
    # Time zone in steps of 15 minutes: UTC+2, and one hour of daylight saving.
    assert start.moment(None) == datetime(2018, 4, 24, 10, 8, 24, tzinfo=UTC)
    assert detail("2AAA", "e20704180d08180804e0c2") == (
        "cgm_session_start device_time=2018-04-24T13:08:24 start=2018-04-24T10:08:24+00:00"
    )
    assert detail("2aaa", "000004180d08180802") == "cgm_session_start device_time=0000-04-24T13:08:24 start=unknown"
    assert refusal("2aaa", "e20704180d08180804e0c3") == ("wrong_crc", 9)
    assert refusal("2aaa", "e20704180d08180804e0") == ("trailing_bytes", 9)


def test_a_session_start_without_zone_is_in_the_patients() -> None:
    start = SessionStart(DateTimeField(2018, 4, 24, 13, 8, 24), -128, 255)
    assert start.moment(None) is None
    assert start.moment(BERLIN) == datetime(2018, 4, 24, 11, 8, 24, tzinfo=UTC)
    assert SessionStart(DateTimeField(9999, 12, 31, 23, 0, 0), -48, 0).moment(None) is None


def test_session_run_time_vectors() -> None:
    assert detail("2AAB", "020008c3") == "cgm_session_run_time hours=2"
    assert detail("2aab", "0200") == "cgm_session_run_time hours=2"
    assert refusal("2aab", "020009c3") == ("wrong_crc", 2)
    assert refusal("2aab", "020001") == ("trailing_bytes", 2)


@pytest.mark.parametrize(
    ("octets", "crc"),
    [
        (b"A", 0x5C0A),
        (bytes.fromhex("58251f98"), 0x07F1),
        (b"123456789", 0x6F91),
        (bytes.fromhex("3e010203040506070809"), 0x2F01),
        (b"", 0xFFFF),
    ],
)
def test_crc_vectors(octets: bytes, crc: int) -> None:
    assert crc16(octets) == crc


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ("1c0201", "answer=response request=get_interval result=success"),
        ("1c0202", "answer=response request=get_interval result=op_not_supported"),
        ("1c02013c3b", "answer=response request=get_interval result=success"),
        ("1c0202a709", "answer=response request=get_interval result=op_not_supported"),
        ("1cc809", "answer=response request=reserved_200 result=reserved_9"),
        ("090cf0", "answer=patient_high mg_dl=1.2"),
        ("0c0bc034be", "answer=patient_low mg_dl=0.0011"),
        ("0f0100", "answer=hypo mg_dl=1"),
        ("120a20", "answer=hyper mg_dl=1000"),
        ("150110", "answer=fall mg_dl_min=10"),
        ("180a40", "answer=rise mg_dl_min=100000"),
        ("0fff07", "answer=hypo mg_dl=not_a_number"),
        ("030b", "answer=interval minutes=11"),
        ("030a8a75", "answer=interval minutes=10"),
    ],
)
def test_cgm_control_vectors(payload: str, told: str) -> None:
    assert detail("2AAC", payload) == f"cgm_control {told}"


@pytest.mark.parametrize("crc", ["", "bfb2"])
def test_cgm_calibration_vector(crc: str) -> None:
    assert detail("2aac", "0601200a00321400010004" + crc) == (
        "cgm_control answer=calibration mg_dl=100 session_minutes=10 sample_type=capillary_plasma "
        "sample_location=earlobe next_minutes=20 record_number=1 status=pending"
    )


def test_cgm_control_payloads_that_are_refused() -> None:
    assert refusal("2aac", "1c0202a701") == ("wrong_crc", 3)
    assert refusal("2aac", "060a01") == ("truncated", 3)
    assert refusal("2aac", "01") == ("unknown_op", 0)
    assert refusal("2aac", "") == ("truncated", 0)
    assert refusal("2aac", "030b00") == ("trailing_bytes", 2)
    assert refusal("2aac", "030b", DecodeContext(cgm_feature=WITH_CRC))[0] in {"truncated", "wrong_crc"}
    assert refusal("2aac", "030a8a75", DecodeContext(cgm_feature=WITHOUT_CRC)) == ("trailing_bytes", 2)


def test_cgm_commands() -> None:
    assert encode_cgm_command(Op.GET_INTERVAL) == b"\x02"
    assert encode_cgm_command(Op.SET_HYPO, level_operand(Decimal(70))) == bytes.fromhex("0d4600")
    assert encode_cgm_command(Op.RESPONSE, response_operand(Op.GET_INTERVAL, 1), crc=True).hex() == "1c02013c3b"
    one = Calibration(Decimal("1E2"), 10, 0x32, 20, 1, 4)
    assert encode_cgm_command(Op.CALIBRATION, calibration_operand(one), crc=True).hex() == "0601200a00321400010004bfb2"


def test_cgm_encoders_reproduce_the_vectors() -> None:
    record = CgmRecord(Decimal("12.34"), 5, 0xFF1402, Decimal("0.2"), Decimal("99.7"))
    assert encode_cgm_measurement([record], crc=True).hex() == CGM
    assert encode_cgm_feature(CgmFeature(0x19E6E, 0x16)).hex() == "6e9e01168ac1"
    assert encode_cgm_feature(CgmFeature(0x18E6E, 0x16)).hex() == "6e8e0116ffff"
    assert encode_cgm_status(5, 0xFF3F3F, crc=True).hex() == "05003f3fffa7e0"
    start = SessionStart(DateTimeField(2018, 4, 24, 13, 8, 24), 8, 4)
    assert encode_session_start(start, crc=True).hex() == "e20704180d08180804e0c2"
    assert encode_session_run_time(2, crc=True).hex() == "020008c3"


# Record access


@pytest.mark.parametrize(
    ("payload", "told", "succeeded"),
    [
        ("06000101", "request=1 result=success", True),
        ("06000106", "request=1 result=no_records", False),
        ("06000108", "request=1 result=not_completed", False),
        ("0600010a", "request=1 result=reserved_10", False),
    ],
)
def test_record_access_answers(payload: str, told: str, succeeded: bool) -> None:  # noqa: FBT001 - parametrised
    assert detail("2A52", payload) == f"record_access {told}"
    answer = read_answer(bytes.fromhex(payload))
    assert isinstance(answer, Response)
    assert answer.succeeded is succeeded
    assert encode_answer(answer).hex() == payload


def test_number_of_records_vectors() -> None:
    assert read_answer(bytes.fromhex("05000201")) == Count(258)
    assert detail("2a52", "05001e00") == "record_access records=30"
    assert encode_answer(Count(30)).hex() == "05001e00"


def test_record_access_requests() -> None:
    assert encode_request(Request(RecordOp.COUNT)).hex() == "0401"
    assert report_from(21).hex() == "0103011500"
    assert encode_request(Request(RecordOp.REPORT, Operator.WITHIN, (3, 9))).hex() == "01040103000900"
    assert encode_request(Request(RecordOp.ABORT, Operator.NONE)).hex() == "0300"
    by_time = report_from(DateTimeField(2019, 2, 27, 11, 5, 30))
    assert by_time.hex() == f"0103{Filter.USER_FACING_TIME:02x}e307021b0b051e"
    for wrong in (
        Request(RecordOp.REPORT, Operator.FROM),
        Request(RecordOp.REPORT, Operator.ALL, (1,)),
        Request(RecordOp.REPORT, Operator.WITHIN, (1, DateTimeField(2019, 2, 27, 11, 5, 30))),
        Request(RecordOp.REPORT, Operator.FROM, (70_000,)),
    ):
        with pytest.raises(AdapterError):
            encode_request(wrong)


def test_a_virtual_device_reads_requests() -> None:
    assert read_request(bytes.fromhex("0103011500")) == Request(RecordOp.REPORT, Operator.FROM, (21,))
    for payload, reason in (
        ("0500", "unknown_op"),
        ("0109", "unknown_operator"),
        ("010302e307021b0b051e", "unknown_filter"),
        ("01", "truncated"),
        ("010100", "trailing_bytes"),
    ):
        with pytest.raises(DecodeError) as caught:
            read_request(bytes.fromhex(payload))
        assert caught.value.reason == reason


def test_record_access_payloads_that_are_refused() -> None:
    assert refusal("2a52", "0101") == ("unknown_op", 0)
    assert refusal("2a52", "06010101") == ("unknown_operator", 1)
    assert refusal("2a52", "060001") == ("truncated", 3)
    assert refusal("2a52", "0600010100") == ("trailing_bytes", 4)
    assert {answer.name for answer in Answer} >= {"SUCCESS", "NO_RECORDS"}
