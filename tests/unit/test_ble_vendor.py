"""Vendor maps: what they describe, what they are refused for, and any text, map and bytes at all."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.errors import ObservationError
from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Quality
from edge_twin_adapters.ble.decode import decode
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.vendor import encode_vendor
from edge_twin_adapters.ble.vendor_map import SCHEMA, VendorMap, load_vendor_map, read_vendor_map
from edge_twin_adapters.errors import AdapterError, DecodeError, VendorMapError

RECEIVED = datetime(2024, 5, 11, 8, 38, 33, tzinfo=UTC)
UUID = "7a1e0001-5c1d-4b0e-9d6f-3f2b6e688e05"

MAP = f"""
schema = "{SCHEMA}"
[[characteristic]]
uuid = "{UUID.upper()}"
name = "nose"
format = "<hIxBe"
calibration = "lot-17"
[[characteristic.field]]
name = "skin"
code = "body_temperature"
unit = "Cel"
scale = 0.01
offset = -2.5
special = [{{ raw = -32768, meaning = "not_measured" }}]
[[characteristic.field]]
name = "gas"
code = "gas_resistance"
unit = "Ohm"
[[characteristic.field]]
attribute = "status"
questionable_mask = 1
invalid_mask = 6
[[characteristic.field]]
name = "index"
code = "air_quality_index"
unit = "{{index}}"
"""


def context(vendor: VendorMap) -> DecodeContext:
    return DecodeContext("nose", vendor=vendor)


VENDOR = read_vendor_map(MAP.encode())
ENOSE = load_vendor_map(Path(str(resources.files("edge_twin_adapters.ble") / "maps" / "enose_bme688.toml")))


def read(payload: bytes, vendor: VendorMap = VENDOR) -> list[Item]:
    return decode(UUID, payload, RECEIVED, context=context(vendor))


def test_numbers_become_observations_exactly() -> None:
    skin, gas, index = read(struct.pack("<hIxBe", 3987, 123_456_789, 0, 0.5))
    assert isinstance(skin, Observation)
    assert isinstance(gas, Observation)
    assert isinstance(index, Observation)
    assert (skin.code, skin.value) == (codes.BODY_TEMPERATURE, 37.37)  # 39.87 - 2.5, in decimals
    assert (gas.code, gas.value, gas.time, gas.source) == (codes.GAS_RESISTANCE, 123_456_789.0, RECEIVED, "nose")
    assert index.value == 0.5
    assert dict(skin.attributes) == {"calibration": "lot-17", "status": "0", "field": "skin"}
    assert len({skin.id, gas.id, index.id}) == 3


@pytest.mark.parametrize(
    ("status", "quality"),
    [(0, Quality.GOOD), (8, Quality.GOOD), (1, Quality.QUESTIONABLE), (2, Quality.INVALID), (5, Quality.INVALID)],
)
def test_status_bits_lower_the_quality(status: int, quality: Quality) -> None:
    items = read(struct.pack("<hIxBe", 3900, 1000, status, 1.0))
    assert {item.quality for item in items if isinstance(item, Observation)} == {quality}


def test_a_special_value_is_a_gap_and_spoils_nothing_else() -> None:
    gap, gas, _ = read(struct.pack("<hIxBe", -32768, 1000, 0, 1.0))
    assert gap == DeviceEvent(DeviceEventKind.GAP, RECEIVED, "nose", "not_measured body_temperature", RECEIVED)
    assert isinstance(gas, Observation)


@pytest.mark.parametrize(
    ("payload", "reason", "offset"),
    [
        (b"", "truncated", 0),
        (bytes(9), "truncated", 0),
        (bytes(11), "trailing_bytes", 10),
        (bytes(8) + b"\x00\x7c", "not_a_number", 8),
        (bytes(8) + b"\x01\x7e", "not_a_number", 8),
        (bytes(513), "too_long", 512),
    ],
)
def test_payloads_that_are_refused_whole(payload: bytes, reason: str, offset: int) -> None:
    with pytest.raises(DecodeError) as caught:
        read(payload)
    assert (caught.value.reason, caught.value.offset) == (reason, offset)


def test_a_value_beyond_a_float_is_refused() -> None:
    text = MAP.replace("<hIxBe", "<hdxBe").replace('unit = "Ohm"', 'unit = "Ohm"\nscale = 1e30')
    with pytest.raises(DecodeError) as caught:
        read(struct.pack("<hdxBe", 3900, 1e300, 0, 1.0), read_vendor_map(text.encode()))
    assert (caught.value.reason, caught.value.offset) == ("not_a_number", 2)


def test_a_time_of_reception_without_zone_is_refused() -> None:
    with pytest.raises(ObservationError) as caught:
        decode(UUID, bytes(10), RECEIVED.replace(tzinfo=None), context=context(VENDOR))
    assert caught.value.reason == "naive_time"


def test_without_the_map_the_characteristic_is_unknown() -> None:
    with pytest.raises(DecodeError) as caught:
        decode(UUID, bytes(10), RECEIVED)
    assert caught.value.reason == "unknown_characteristic"


def test_an_unused_number_says_nothing() -> None:
    text = MAP.replace('attribute = "status"\nquestionable_mask = 1\ninvalid_mask = 6', "unused = true")
    items = read(struct.pack("<hIxBe", 3900, 1000, 255, 1.0), read_vendor_map(text.encode()))
    assert all(isinstance(item, Observation) and "status" not in item.attributes for item in items)


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    form = {
        "schema": SCHEMA,
        "characteristic": [
            {
                "uuid": UUID,
                "name": "nose",
                "format": ">b",
                "calibration": "c",
                "field": [{"name": "gas", "code": "gas_resistance", "unit": "Ohm", "scale": 0.1}],
            }
        ],
    }
    toml = f"""schema = "{SCHEMA}"
[[characteristic]]
uuid = "{UUID}"
name = "nose"
format = ">b"
calibration = "c"
field = [{{ name = "gas", code = "gas_resistance", unit = "Ohm", scale = 0.1 }}]
"""
    (tmp_path / "map.json").write_text(json.dumps(form), encoding="utf-8")
    (tmp_path / "map.toml").write_text(toml, encoding="utf-8")
    loaded = load_vendor_map(tmp_path / "map.json")
    assert loaded == load_vendor_map(tmp_path / "map.toml")
    (gas,) = read(b"\x03", loaded)
    assert isinstance(gas, Observation)
    assert gas.value == 0.3  # not 0.30000000000000004


def changed(old: str, new: str) -> str:
    assert old in MAP
    return MAP.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("schema = [", "malformed"),
        ("", "schema_unsupported"),
        (changed("map/1", "map/2"), "schema_unsupported"),
        (f'schema = "{SCHEMA}"', "missing_key"),
        (f'schema = "{SCHEMA}"\ncharacteristic = 3', "malformed"),
        (changed('name = "nose"', 'name = "nose"\nexec = "rm"'), "unknown_key"),
        (changed('calibration = "lot-17"', ""), "missing_key"),
        (changed("lot-17", "lot 17"), "bad_name"),
        (changed('"nose"', '"Nose!"'), "bad_name"),
        (changed(UUID.upper(), "7a1e0001"), "bad_uuid"),
        (changed(UUID.upper(), "00002a37-0000-1000-8000-00805f9b34fb"), "assigned_uuid"),
        (MAP + MAP.partition("/1")[2].lstrip('"'), "duplicate_uuid"),
        (changed("<hIxBe", "hIxBe"), "bad_format"),
        (changed("<hIxBe", "<h999999999I"), "bad_format"),
        (changed("<hIxBe", "<hI10sBe"), "bad_format"),
        (changed("<hIxBe", "<hIxB"), "wrong_field_count"),
        (changed("body_temperature", "bodytemperature"), "unknown_code"),
        (changed("body_temperature", "ecg"), "unknown_code"),
        (changed('"Cel"', '"[degF]"'), "wrong_unit"),
        (changed("0.01", "0"), "bad_number"),
        (changed("0.01", "nan"), "bad_number"),
        (changed("0.01", "1e60"), "bad_number"),
        (changed("0.01", '"0.01"'), "bad_number"),
        (changed("0.01", "true"), "bad_number"),
        (changed("-2.5", "inf"), "bad_number"),
        (changed("raw = -32768", "raw = 40000"), "bad_special"),
        (changed("raw = -32768", "raw = 1.5"), "bad_special"),
        (changed("not_measured", "Not measured"), "bad_name"),
        (changed('unit = "{index}"', 'unit = "{index}"\nspecial = [{ raw = 1, meaning = "x" }]'), "bad_special"),
        (changed("invalid_mask = 6", "invalid_mask = 256"), "bad_mask"),
        (changed("invalid_mask = 6", "invalid_mask = -1"), "bad_mask"),
        (changed('attribute = "status"\nquestionable_mask = 1\ninvalid_mask = 6', "unused = false"), "malformed"),
        (changed('name = "gas"', 'attribute = "gas"'), "unknown_key"),
    ],
)  # fmt: skip
def test_maps_that_are_refused(text: str, reason: str) -> None:
    with pytest.raises(VendorMapError) as caught:
        read_vendor_map(text.encode())
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "text", ["[1]", "{", '{"schema": 1, "schema": 2}', "[" * 100_000, '{"schema": 1e99999999999999999999}']
)
def test_json_that_is_no_map(text: str) -> None:
    with pytest.raises(VendorMapError) as caught:
        read_vendor_map(text.encode(), json_form=True)
    assert caught.value.reason == "malformed"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * 1_000_001)
    for path, reason in ((tmp_path / "none.toml", "unreadable"), (large, "too_large")):
        with pytest.raises(VendorMapError) as caught:
            load_vendor_map(path)
        assert caught.value.reason == reason


def test_a_map_cannot_take_the_place_of_a_known_decoder() -> None:
    polar = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"
    vendor = read_vendor_map(MAP.replace(UUID.upper(), polar).encode())
    with pytest.raises(DecodeError) as caught:
        decode(polar, bytes(10), RECEIVED, context=context(vendor))
    assert caught.value.reason == "no_samples"


def test_numbers_that_do_not_fit_the_map() -> None:
    for numbers in ([1, 2, 3], [40_000, 1, 1, 1.0], [1, 1, 1, 1e9]):
        with pytest.raises(AdapterError) as caught:
            encode_vendor(VENDOR[UUID], numbers)
        assert caught.value.reason == "out_of_range"


@given(st.integers(-32767, 32767), st.integers(0, 2**32 - 1), st.integers(0, 255), st.floats(-1000, 1000, width=16))
def test_numbers_round_trip(skin: int, gas: int, status: int, index: float) -> None:
    items = read(encode_vendor(VENDOR[UUID], [skin, gas, status, index]))
    values = [item.value for item in items if isinstance(item, Observation)]
    assert values == [pytest.approx(skin / 100 - 2.5, abs=1e-9), gas, index]
    assert {item.attributes["status"] for item in items if isinstance(item, Observation)} == {str(status)}


@given(st.binary(max_size=40) | st.binary(min_size=505, max_size=520))
def test_any_bytes_are_decoded_or_refused(payload: bytes) -> None:
    offset = 0
    try:
        read(payload)
    except DecodeError as error:
        offset = error.offset
    assert 0 <= offset <= len(payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELD = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("a") | JSON,
        "code": st.sampled_from(codes.names()) | JSON,
        "unit": st.sampled_from(["Ohm", "Cel"]) | JSON,
        "scale": JSON,
        "special": JSON,
        "attribute": JSON,
        "invalid_mask": JSON,
        "unused": JSON,
    },
)
CHARACTERISTIC = st.fixed_dictionaries(
    {
        "uuid": st.just(UUID) | JSON,
        "name": st.just("a") | JSON,
        "format": st.sampled_from(["<h", "<f", ">qx"]) | JSON,
        "calibration": st.just("c") | JSON,
        "field": st.lists(FIELD, min_size=1, max_size=2) | JSON,
    }
)


@given(JSON | st.lists(CHARACTERISTIC, max_size=2), st.binary(max_size=16))
def test_any_map_is_used_or_refused(characteristics: Any, payload: bytes) -> None:  # noqa: ANN401 - hypothesis
    document = json.dumps({"schema": SCHEMA, "characteristic": characteristics}).encode()
    try:
        vendor = read_vendor_map(document, json_form=True)
    except VendorMapError:
        return
    for uuid in vendor:
        try:
            decode(uuid, payload, RECEIVED, context=context(vendor))
        except DecodeError:
            continue


# The example that is shipped


def test_the_electronic_nose_of_the_example() -> None:
    (vendor,) = ENOSE.values()
    payload = encode_vendor(vendor, [2431, 98_766, 41_237, 152_340, 3, 1])
    items = decode(vendor.uuid, payload, RECEIVED, context=context(ENOSE))
    values = {item.code.name: item.value for item in items if isinstance(item, Observation)}
    assert values == {
        "ambient_temperature": 24.31,
        "air_pressure": 98_766.0,
        "relative_humidity": 41.237,
        "gas_resistance": 152_340.0,
    }
    assert isinstance(items[3], Observation)
    assert dict(items[3].attributes) == {
        "calibration": "bme688-example-1",
        "field": "gas",
        "heater_step": "3",
        "gas_status": "1",
    }


@pytest.mark.parametrize(("status", "quality"), [(1, Quality.GOOD), (3, Quality.QUESTIONABLE), (5, Quality.INVALID)])
def test_a_nose_that_doubts_itself(status: int, quality: Quality) -> None:
    (vendor,) = ENOSE.values()
    payload = encode_vendor(vendor, [-32768, 0, 41_237, 0xFFFFFFFF, 3, status])
    items = decode(vendor.uuid, payload, RECEIVED, context=context(ENOSE))
    assert [item.detail for item in items if isinstance(item, DeviceEvent)] == [
        "not_measured ambient_temperature",
        "not_measured air_pressure",
        "heater_not_stable gas_resistance",
    ]
    assert [item.quality for item in items if isinstance(item, Observation)] == [quality]
