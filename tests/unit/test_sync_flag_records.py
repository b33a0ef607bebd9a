"""Flag records of version 2: exact, bounded, small, and stored beside those of version 1."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_twin.flag import CtcaeTerm, CtcaeVersion, Evidence, Flag, FlagKind, Sentences, Urgency
from edge_twin.flag_reading import PARTS, earlier_urgency, read_messages
from edge_twin.flags.alarm_rules import Level, alarm_rules
from edge_twin.flags.life import LifeState, Lives
from edge_twin.flags.lifecycle import follow
from edge_twin.jsonform import flag_form
from edge_twin.observation import Origin
from edge_twin.wording import Message, english, say
from edge_twin_app.outlet import flag_record
from edge_twin_sync import strict_cbor
from edge_twin_sync.envelope import Header
from edge_twin_sync.errors import RecordError
from edge_twin_sync.flag_record import MAX_EVIDENCE, FlagStateRecord
from edge_twin_sync.records import BATCH_LIMITS, FlagRecord, Schema, decode_batch, encode_batch
from edge_twin_sync.sink import open_sink
from edge_twin_sync.streams import Stream

START = datetime(2026, 3, 1, 22, tzinfo=UTC)
BERLIN = timezone(timedelta(hours=1))

times = st.integers(-(10**12), 10**13).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
local_times = st.builds(lambda t, m: t.astimezone(timezone(timedelta(minutes=m))), times, st.integers(-720, 720))
numbers = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=20)
plain_values = st.one_of(words, st.integers(-(2**50), 2**50), numbers, local_times)


def messages_of(values: st.SearchStrategy[object]) -> st.SearchStrategy[Message]:
    arguments = st.lists(st.tuples(words, values), max_size=3).map(tuple)
    return st.builds(Message, words, arguments)


messages = messages_of(st.one_of(plain_values, messages_of(plain_values)))
parts = st.dictionaries(st.sampled_from(PARTS), st.lists(messages, min_size=1, max_size=3).map(tuple), max_size=3)
evidences = st.builds(Evidence, words, numbers, words, times, st.sampled_from(Origin), st.none() | times)
terms = st.builds(
    lambda version, rows: tuple(CtcaeTerm(name, version, low) for name, low in rows),
    st.sampled_from(CtcaeVersion),
    st.lists(st.tuples(words, st.sampled_from((None, 1, 2, 3, 4))), max_size=3),
)
records = st.builds(
    FlagStateRecord, words, words, times, times, st.sampled_from(Urgency), st.sampled_from(LifeState),
    st.integers(1, 10**6), words, st.none() | st.floats(0, 1),
    st.none() | st.integers(0, 10**7).map(lambda s: timedelta(seconds=s)), st.none() | times,
    st.sampled_from(Level), words, parts, st.lists(evidences, max_size=3).map(tuple), terms,
)  # fmt: skip


@settings(max_examples=50)
@given(record=records)
def test_flags_come_back_exactly(record: FlagStateRecord) -> None:
    schema, back = decode_batch(encode_batch(Schema.FLAGS_V2, [record]))
    assert schema is Schema.FLAGS_V2
    assert back == [record]
    (one,) = back
    assert isinstance(one, FlagStateRecord)
    assert english(one.messages.get("reason", ())) == english(record.messages.get("reason", ()))


@given(body=st.binary(max_size=200))
def test_any_bytes_are_a_record_or_a_typed_error(body: bytes) -> None:
    with contextlib.suppress(RecordError):
        decode_batch(strict_cbor.dumps([int(Schema.FLAGS_V2), [{}]])[:5] + body)


@settings(max_examples=50)
@given(record=records, key=st.integers(0, 16), junk=st.sampled_from((None, "x", -1, 2**40, [], 0.5)))
def test_a_field_of_another_kind_is_refused_or_a_record(
    record: FlagStateRecord, key: int, junk: strict_cbor.CborValue
) -> None:
    with contextlib.suppress(RecordError):
        decode_batch(strict_cbor.dumps([int(Schema.FLAGS_V2), [record.to_map() | {key: junk}]]))


def test_a_message_inside_too_many_messages_is_refused() -> None:
    deep: list[object] = ["a.b"]
    for _ in range(4):
        deep = ["a.b", "x", deep]
    with pytest.raises(RecordError) as caught:
        decode_batch(strict_cbor.dumps([int(Schema.FLAGS_V2), [example().to_map() | {12: [0, deep]}]]))
    assert caught.value.reason == "bad_field"


def test_too_much_evidence_is_refused() -> None:
    one = Evidence("x", 1.0, "1", START, Origin.DEVICE)
    much = (one,) * (MAX_EVIDENCE + 1)
    record = FlagStateRecord("1", "k", START, START, Urgency.NOW, LifeState.RAISED, 1, evidence=much)
    with pytest.raises(RecordError) as caught:
        encode_batch(Schema.FLAGS_V2, [record])
    assert caught.value.reason == "too_many"


# ---- from a flag to the centre --------------------------------------------------------------------------


def fever() -> Flag:
    reading = say("fever.reading", value=38.4, time=START.astimezone(BERLIN))
    found = say("fever.found", why=reading, definition=say("fever.single"))
    return Flag(
        FlagKind.FEVER, START, Urgency.NOW, Origin.DEVICE,
        Sentences(
            (say("fever.call_now"),), (found, say("fever.count_unknown", label="neutrophils"), say("fever.masking")),
            (say("fever.clinician"), found), (say("fever.would_change"),), (say("fever.limits"),),
        ),
        evidence=(Evidence("body_temperature", 38.4, "Cel", START, Origin.DEVICE),),
        ctcae=(CtcaeTerm("Febrile neutropenia", CtcaeVersion.V5),),
    )  # fmt: skip


def example() -> FlagStateRecord:
    lives = follow(Lives(), [fever()], START, alarm_rules()).lives
    return flag_record(lives.by_key[FlagKind.FEVER])


def test_the_centre_can_say_what_the_phone_says() -> None:
    _, [record] = decode_batch(encode_batch(Schema.FLAGS_V2, [example()]))
    assert isinstance(record, FlagStateRecord)
    assert english(record.messages["reason"]) == fever().reason
    assert english(record.messages["clinician"]) == fever().clinician
    assert "22:00" not in fever().reason  # the patient's hour, not UTC
    assert "23:00 on 2026-03-01" in english(record.messages["reason"])
    assert (record.urgency, record.state, record.ctcae[0].ctcae_version) == ("now", "raised", "5.0")


def test_messages_survive_the_store() -> None:
    said = read_messages(flag_form(fever()))
    assert {part: english(text) for part, text in said.items() if text} == {
        part: english(getattr(fever().says, part)) for part in PARTS if getattr(fever().says, part)
    }


def test_a_flag_is_small() -> None:
    """Bar stated beforehand: a fever with all of its sentences fits into half a kilobyte."""
    size = len(encode_batch(Schema.FLAGS_V2, [example()]))
    print(f"fever flag: {size} bytes")  # noqa: T201 - the measured figure
    assert size <= 512


GOLDEN = FlagStateRecord(
    "7", "weight_loss", START, START, Urgency.THIS_WEEK, LifeState.ACKNOWLEDGED, 3, "", 0.625, timedelta(days=7), None,
    Level.CLINIC, "A. Nurse", {"reason": (say("a.b", n=2, x=2.0, t=START.astimezone(BERLIN), m=say("c.d")),)},
    (Evidence("body_weight", 61.5, "kg", START, Origin.PATIENT_REPORTED, START),),
    (CtcaeTerm("Weight loss", CtcaeVersion.V5, 1),),
)  # fmt: skip
GOLDEN_BYTES = (
    "8219020281ae006137016b7765696768745f6c6f7373021b0000019cab6a5b00030204190271080109030a1b0000019cab6a"
    "5b000b1a00093a800c82018963612e62616e026178f940006174821b0000019cab6a5b00183c616d8163632e640d81866b62"
    "6f64795f77656967687419f03c626b671b0000019cab6a5b00001b0000019cab6a5b000e8363352e306b576569676874206c"
    "6f7373010f68412e204e757273651002"
)


def test_bytes_of_version_2_never_change() -> None:
    assert encode_batch(Schema.FLAGS_V2, [GOLDEN]).hex() == GOLDEN_BYTES
    assert decode_batch(bytes.fromhex(GOLDEN_BYTES)) == (Schema.FLAGS_V2, [GOLDEN])


# ---- version 1 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "word", "today"),
    [
        ("fever_under_chemotherapy", "urgent", Urgency.NOW),
        ("anc_below_0_5_within_7_days", "soon", Urgency.TODAY),
        ("fever_repeat_reading", "attention", Urgency.TODAY),
        ("forecast_mismatch", "attention", Urgency.THIS_WEEK),
        ("weight_loss", "this_week", Urgency.THIS_WEEK),
    ],
)
def test_urgencies_of_version_1_in_todays_words(kind: str, word: str, today: Urgency) -> None:
    assert earlier_urgency(kind, word) is today


def stored(path: Path) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        sql = "SELECT kind, urgency, state, topic, reason, withdrawn_ms IS NULL, version FROM flags ORDER BY seq, n"
        return connection.execute(sql).fetchall()


def header(seq: int, schema: Schema) -> Header:
    return Header("ab" * 8, 1, Stream.ALERTS, seq, START, int(schema), 1, b"\0" * 4)


def test_the_sink_keeps_both_versions(tmp_path: Path) -> None:
    first = FlagRecord("1", "fever_under_chemotherapy", START, "urgent", "Because.", withdrawn=START)
    odd = FlagRecord("2", "something", START, "strange", "Because.")
    with open_sink(tmp_path / "central.db") as sink, sink.transaction():
        sink.add_records(header(1, Schema.FLAGS_V1), [first, odd])
        sink.add_records(header(2, Schema.FLAGS_V2), [example()])
    assert stored(tmp_path / "central.db") == [
        ("fever_under_chemotherapy", "now", "resolved", "", "Because.", 0, None),
        ("something", "strange", "raised", "", "Because.", 1, None),
        ("fever_under_chemotherapy", "now", "raised", "", fever().reason, 1, 1),
    ]


def test_a_centre_of_the_first_schema_keeps_its_flags(tmp_path: Path) -> None:
    path = tmp_path / "central.db"
    with open_sink(path):
        pass
    added = ("topic", "state", "version", "changed_ms", "horizon_s", "level", "by", "messages", "evidence", "ctcae")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for column in added:  # back to the first schema
            connection.execute(f"ALTER TABLE flags DROP COLUMN {column}")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'central_v2'")
        connection.execute(
            "INSERT INTO flags VALUES ('d', 1, 0, 1, 0, '1', 'forecast_mismatch', 5, 'attention', NULL, 'Why.', NULL)"
        )
        connection.commit()
    with open_sink(path):
        pass
    assert stored(path) == [("forecast_mismatch", "this_week", "raised", "", "Why.", 1, None)]


def test_the_depth_of_a_batch_is_bounded() -> None:
    assert BATCH_LIMITS.depth == 9
