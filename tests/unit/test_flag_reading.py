"""Messages out of a kept flag: the same sentence in the same language, whatever was in it; nonsense is an error."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.errors import WordingError
from edge_twin.flag_reading import earlier_urgency, read_message, read_messages
from edge_twin.jsonform import message_form, rounded
from edge_twin.wording import Message

times = st.integers(-(10**15), 10**16).map(lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))
zones = st.integers(-720, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))
values = st.one_of(
    st.text(max_size=12),
    st.integers(-(2**40), 2**40),
    st.floats(-1e6, 1e6).map(lambda value: rounded(value) or 0.0),
    st.builds(lambda time, zone: time.astimezone(zone), times, zones),
)


def messages(inner: st.SearchStrategy[object]) -> st.SearchStrategy[Message]:
    arguments = st.lists(st.tuples(st.text(max_size=8), inner), max_size=3, unique_by=lambda pair: pair[0])
    return st.builds(Message, st.text(max_size=12), arguments.map(tuple))


@given(message=messages(st.one_of(values, messages(values))))
def test_a_message_survives_json(message: Message) -> None:
    back = read_message(json.loads(json.dumps(message_form(message))))
    assert back == message
    assert back.text == message.text


junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.text(max_size=5), st.integers()),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(("id", "arguments", "x")), inner),
    max_leaves=6,
)


@given(
    form=st.one_of(junk, junk.map(lambda inner: {"messages": inner}), junk.map(lambda row: {"messages": {"a": [row]}}))
)
def test_any_json_is_messages_or_a_typed_error(form: object) -> None:
    with contextlib.suppress(WordingError):
        read_messages(form)  # type: ignore[arg-type]  # what a damaged store might hold


@pytest.mark.parametrize("word", ["", "very", "NOW"])
def test_an_urgency_of_no_scale_is_an_error(word: str) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        earlier_urgency("fever_under_chemotherapy", word)
