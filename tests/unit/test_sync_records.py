from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.observation import Quality
from edge_twin_sync import strict_cbor
from edge_twin_sync.errors import CodecError, RecordError
from edge_twin_sync.records import (
    DropRecord,
    FeatureRecord,
    FlagRecord,
    Record,
    Schema,
    decode_batch,
    encode_batch,
)
from edge_twin_sync.state_record import StateRecord

START = datetime(2026, 3, 1, 22, tzinfo=UTC)
FEATURE = FeatureRecord("rmssd", START, START + timedelta(hours=8), 41.235, "ms", Quality.QUESTIONABLE, 512, "a1")
FLAG = FlagRecord("f-1", "neutropenia_ahead", START, "soon", "ANC below 0.5 is forecast", 0.625)
STATE = StateRecord.from_covariance(
    START, ["ktr", "slope"], np.array([0.2, 3.0]), np.array([[0.04, 0.01], [0.01, 9.0]])
)
DROP = DropRecord(1, 77, ((1, 4), (9, 9)), "evicted")

times = st.integers(-(10**12), 10**13).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=60)
feature_records = st.builds(
    lambda name, start, hours, value, unit, quality, count, supersedes: FeatureRecord(
        name, start, start + timedelta(hours=hours), value, unit, quality, count, supersedes
    ),
    st.one_of(st.just("rmssd"), texts),
    times,
    st.integers(0, 1000),
    numbers,
    texts,
    st.sampled_from(Quality),
    st.integers(0, 10**6),
    st.none() | texts,
)
flag_records = st.builds(FlagRecord, texts, texts, times, texts, texts, st.none() | st.floats(0, 1))

GOLDEN: dict[Schema, tuple[Record, str]] = {
    Schema.FEATURES_V1: (
        FEATURE,
        "8219010181a80001011b0000019cab6a5b00021a01b774000319a11304626d7305010619020007626131",
    ),
    Schema.FLAGS_V1: (
        FLAG,
        "8219020181a60063662d3101716e657574726f70656e69615f6168656164021b0000019cab6a5b000364736f6f6e04190271057819414e432062656c6f7720302e3520697320666f726563617374",
    ),
    Schema.STATES_V1: (
        STATE,
        "8219030181a5001b0000019cab6a5b000182636b747265736c6f70650248cdcc4c3e000040400348cdcc4c3e000040400446003c4424003c",
    ),
    Schema.DROPS_V1: (DROP, "8219040181a4000101184d028401040909036765766963746564"),
}


@pytest.mark.parametrize("schema", list(GOLDEN))
def test_bytes_of_a_released_schema_never_change(schema: Schema) -> None:
    record, golden = GOLDEN[schema]
    assert encode_batch(schema, [record]).hex() == golden
    assert decode_batch(bytes.fromhex(golden)) == (schema, [record])


@given(records=st.lists(feature_records, min_size=1, max_size=5))
def test_features_come_back_exactly(records: list[FeatureRecord]) -> None:
    assert decode_batch(encode_batch(Schema.FEATURES_V1, records)) == (Schema.FEATURES_V1, records)


@given(record=flag_records)
def test_flags_come_back_exactly(record: FlagRecord) -> None:
    assert decode_batch(encode_batch(Schema.FLAGS_V1, [record])) == (Schema.FLAGS_V1, [record])


@given(size=st.integers(1, 16), seed=st.integers(0, 2**32 - 1), rank=st.integers(1, 16))
def test_a_covariance_stays_positive_and_close(size: int, seed: int, rank: int) -> None:
    rng = np.random.default_rng(seed)
    scales = 10.0 ** rng.uniform(-6, 6, size)
    root = rng.normal(size=(size, rank)) * scales[:, None]
    covariance = root @ root.T
    record = StateRecord.from_covariance(START, [f"p{i}" for i in range(size)], rng.normal(size=size), covariance)
    _, [decoded] = decode_batch(encode_batch(Schema.STATES_V1, [record]))
    assert decoded == record
    assert isinstance(decoded, StateRecord)
    deviations = np.sqrt(np.diag(covariance))
    difference = (decoded.covariance() - covariance) / np.outer(deviations, deviations)
    assert np.abs(difference).max() < 0.01  # f16 keeps 11 bits of each entry of the correlation's factor
    assert np.linalg.eigvalsh(decoded.covariance() / np.outer(deviations, deviations)).min() > -1e-9


def test_a_state_of_no_spread_is_sent() -> None:
    record = StateRecord.from_covariance(START, ["a", "b"], np.zeros(2), np.diag([0.0, 4.0]))
    assert record.covariance() == pytest.approx(np.diag([0.0, 4.0]), abs=1e-5)


@pytest.mark.parametrize(
    ("mean", "covariance", "reason"),
    [
        (np.zeros(2), np.zeros((3, 3)), "bad_shape"),
        (np.zeros(3), np.eye(2), "bad_shape"),
        (np.array([0.0, np.nan]), np.eye(2), "not_a_number"),
        (np.array([0.0, 1e300]), np.eye(2), "not_a_number"),
        (np.zeros(2), np.diag([1.0, -1.0]), "not_positive_semidefinite"),
        (np.zeros(2), np.array([[1.0, 5.0], [5.0, 1.0]]), "not_positive_semidefinite"),
        (np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]]), "not_positive_semidefinite"),
    ],
)
def test_what_is_no_covariance_is_refused(
    mean: np.ndarray[tuple[int], np.dtype[np.float64]],
    covariance: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    reason: str,
) -> None:
    with pytest.raises(RecordError) as error:
        StateRecord.from_covariance(START, ["a", "b"], mean, covariance)
    assert error.value.reason == reason


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (FeatureRecord("x", START, START, float("nan"), "1"), "not_a_number"),
        (FeatureRecord("x", START, START, float("inf"), "1"), "not_a_number"),
        (FeatureRecord("x", START, START - timedelta(seconds=1), 1.0, "1"), "bad_period"),
        (FeatureRecord("x", START.replace(tzinfo=None), START, 1.0, "1"), "naive_time"),
        (FeatureRecord("x" * 513, START, START, 1.0, "1"), "too_long"),
    ],
)
def test_a_feature_that_cannot_be_sent_is_refused(record: FeatureRecord, reason: str) -> None:
    with pytest.raises(RecordError) as error:
        encode_batch(Schema.FEATURES_V1, [record])
    assert error.value.reason == reason


def test_another_zone_is_the_same_instant() -> None:
    there = FeatureRecord("x", START.astimezone(timezone(timedelta(hours=5))), START, 1.0, "1")
    _, [decoded] = decode_batch(encode_batch(Schema.FEATURES_V1, [there]))
    assert isinstance(decoded, FeatureRecord)
    assert decoded.start == START
    assert decoded.start.tzinfo is UTC


def test_an_impossible_probability_is_refused_both_ways() -> None:
    with pytest.raises(RecordError) as error:
        encode_batch(Schema.FLAGS_V1, [FlagRecord("f", "k", START, "soon", "r", 1.5)])
    assert error.value.reason == "bad_probability"
    forged = FLAG.to_map() | {4: 1500}
    with pytest.raises(RecordError):
        decode_batch(strict_cbor.dumps([int(Schema.FLAGS_V1), [forged]]))


def test_keys_of_a_newer_sender_are_kept_and_sent_on() -> None:
    body = strict_cbor.dumps([int(Schema.FEATURES_V1), [FEATURE.to_map() | {100: "new"}]])
    schema, [decoded] = decode_batch(body)
    assert decoded.extra == {100: "new"}
    assert encode_batch(schema, [decoded]) == body


def test_an_unknown_schema_is_a_typed_error() -> None:
    with pytest.raises(RecordError) as error:
        decode_batch(strict_cbor.dumps([0x0102, [FEATURE.to_map()]]))
    assert error.value.reason == "unknown_schema"


def test_batches_are_of_one_schema_and_bounded() -> None:
    for records, reason in (([FLAG], "mixed"), ([], "empty"), ([FEATURE] * 2049, "too_many")):
        with pytest.raises(RecordError) as error:
            encode_batch(Schema.FEATURES_V1, records)
        assert error.value.reason == reason
    long = FeatureRecord("n" * 500, START, START, 1.0, "u" * 500)
    with pytest.raises(RecordError) as too_large:
        encode_batch(Schema.FEATURES_V1, [long] * 200)
    assert too_large.value.reason == "too_large"


def decode_or_refuse(body: bytes) -> None:
    """Decoding raises nothing but RecordError, and what decodes can be sent on."""
    with contextlib.suppress(RecordError):
        schema, records = decode_batch(body)
        assert decode_batch(encode_batch(schema, records)) == (schema, records)


@given(data=st.binary(max_size=300))
def test_any_bytes_decode_or_raise_a_record_error(data: bytes) -> None:
    decode_or_refuse(data)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(-3, 9), inner, max_size=5),
    max_leaves=12,
)


@given(schema=st.sampled_from(Schema), records=st.lists(values, max_size=4))
def test_well_formed_nonsense_raises_a_record_error(schema: Schema, records: list[object]) -> None:
    decode_or_refuse(strict_cbor.dumps([int(schema), records]))


@given(
    schema=st.sampled_from([(Schema.FEATURES_V1, FEATURE), (Schema.FLAGS_V1, FLAG), (Schema.STATES_V1, STATE)]),
    data=st.data(),
)
def test_one_wrong_field_never_escapes_as_another_error(schema: tuple[Schema, Record], data: st.DataObject) -> None:
    fields = schema[1].to_map()
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(values)
    decode_or_refuse(strict_cbor.dumps([int(schema[0]), [fields]]))


LIMITS = strict_cbor.Limits(size=100, depth=3, items=20)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "truncated"),
        ("82", "truncated"),
        ("19", "truncated"),
        ("4401", "truncated"),
        ("9bffffffffffffffff", "truncated"),
        ("0000", "trailing"),
        ("c11a00000000", "unsupported"),  # a tag
        ("d81c81d81d00", "unsupported"),  # a cycle
        ("9f01ff", "unsupported"),  # indefinite length
        ("f7", "unsupported"),  # undefined
        ("1c", "unsupported"),  # reserved
        ("a1616101", "unsupported"),  # a text key
        ("1800", "not_deterministic"),
        ("a201010102", "not_deterministic"),  # a duplicate key
        ("fb3ff0000000000000", "not_deterministic"),
        ("61ff", "malformed"),  # not UTF-8
        ("8181818101", "too_deep"),
        ("95" + "00" * 21, "too_many"),
        ("58" + "64" + "00" * 100, "too_large"),
    ],
)
def test_only_the_strict_subset_is_decoded(data: str, reason: str) -> None:
    with pytest.raises(CodecError) as error:
        strict_cbor.loads(bytes.fromhex(data), LIMITS)
    assert error.value.reason == reason


def test_a_small_message_cannot_claim_much_memory() -> None:
    claims = bytes.fromhex("9a7fffffff")  # an array of two thousand million items
    with pytest.raises(CodecError):
        strict_cbor.loads(claims + bytes(50), LIMITS)


def test_no_golden_bytes_are_missing() -> None:
    assert set(GOLDEN) == set(Schema) - {Schema.FLAGS_V2}  # that one is in test_sync_flag_records
