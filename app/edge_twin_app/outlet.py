"""From the twin's results to the outbox's records; the joint between the two rooms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from edge_twin.contract import Posterior
from edge_twin.features import Feature
from edge_twin.flag import CtcaeTerm, CtcaeVersion, Evidence
from edge_twin.flag_reading import read_messages
from edge_twin.flag_store import FlagStore
from edge_twin.flags.life import Life
from edge_twin.observation import Origin, Quality
from edge_twin.runtime import Outgoing
from edge_twin_sync.flag_record import MAX_EVIDENCE, FlagStateRecord
from edge_twin_sync.outbox import Outbox
from edge_twin_sync.records import FeatureRecord, Record, Schema, encode_batch
from edge_twin_sync.state_record import StateRecord
from edge_twin_sync.streams import Stream

LARGEST_BATCH = 200  # records in one message: about 10 kB, and an interrupted link repeats no more than that


class OutboxOutlet:
    """Queues what one step hands over, in the store's own transaction.

    Args:
        outbox: on the store's connection.
        flags: of the store, to remember which message carries which flag.
    """

    def __init__(self, outbox: Outbox, flags: FlagStore) -> None:
        self._outbox = outbox
        self._flags = flags

    def put(self, outgoing: Outgoing) -> None:
        """Alerts first, then features, then the state; see :class:`edge_twin.runtime.Outlet`."""
        for stream, schema, records in _batches(outgoing):
            row = self._outbox.enqueue(stream, schema, encode_batch(schema, records), outgoing.now)
            for record in records:
                if isinstance(record, FlagStateRecord):
                    self._flags.note_message(int(record.id), record.version, "/".join(map(str, row)))

    def confirmed(self) -> Sequence[tuple[int, int]]:
        """Flags whose message the centre has acknowledged: it left the outbox; a refused one stays in it."""
        arrived = [(flag, version) for flag, version, message in self._flags.messages() if not self._waits(message)]
        for flag, version in arrived:
            self._flags.forget_message(flag, version)
        return arrived

    def _waits(self, message: str) -> bool:
        epoch, stream, seq = map(int, message.split("/"))
        return self._outbox.holds((epoch, stream, seq))


def _batches(outgoing: Outgoing) -> Iterator[tuple[Stream, Schema, list[Record]]]:
    flags: list[Record] = [flag_record(life) for life in outgoing.flags]
    # A first number that is none stays here; one that was a number before is called back.
    features: list[Record] = [_feature(f, v) for f, v in outgoing.features if f.value is not None or v > 1]
    states: list[Record] = [_state(outgoing, outgoing.posterior)] if outgoing.posterior else []
    for stream, schema, records in (
        (Stream.ALERTS, Schema.FLAGS_V2, flags),
        (Stream.FEATURES, Schema.FEATURES_V1, features),
        (Stream.STATES, Schema.STATES_V1, states),
    ):
        for first in range(0, len(records), LARGEST_BATCH):
            yield stream, schema, records[first : first + LARGEST_BATCH]


def _feature(feature: Feature, version: int) -> FeatureRecord:
    supersedes = f"{feature.name}/{feature.start.isoformat()}/{version - 1}" if version > 1 else None
    return FeatureRecord(
        name=feature.name,
        start=feature.start,
        end=feature.end,
        value=feature.value or 0.0,
        unit=feature.unit,
        quality=Quality.GOOD if feature.value is not None else Quality.INVALID,
        count=feature.count,
        supersedes=supersedes,
    )


def flag_record(life: Life) -> FlagStateRecord:
    """A flag as it stands, as the record that leaves the device."""
    form = life.form
    horizon = form.get("horizon")
    return FlagStateRecord(
        id=str(life.id),
        kind=form["kind"],
        topic=form["topic"],
        time=life.raised,
        changed=life.changed,
        urgency=life.shown_urgency,
        state=life.state,
        version=life.version,
        probability=form["probability"],
        horizon=None if horizon is None else timedelta(seconds=horizon),
        closed=life.closed,
        level=life.level,
        by=life.superseded_by or life.closed_by or life.acknowledged_by,
        messages=read_messages(form),
        evidence=tuple(_evidence(row) for row in _newest(form["evidence"])),
        ctcae=tuple(_term(row) for row in form["ctcae"]),
    )


def _newest(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """As many as a record holds; the whole stays in the store."""
    return sorted(rows, key=lambda row: row["time"])[-MAX_EVIDENCE:] if len(rows) > MAX_EVIDENCE else rows


def _evidence(row: Mapping[str, Any]) -> Evidence:
    start = row.get("start")
    period = datetime.fromisoformat(start) if start else None
    time = datetime.fromisoformat(row["time"])
    return Evidence(row["name"], row["value"], row["unit"], time, Origin(row["origin"]), period)


def _term(row: Mapping[str, Any]) -> CtcaeTerm:
    return CtcaeTerm(row["term"], CtcaeVersion(row["ctcae_version"]), row["grade_range"])


def _state(outgoing: Outgoing, posterior: Posterior) -> StateRecord:
    return StateRecord.from_covariance(outgoing.now, posterior.names, posterior.mean, posterior.covariance)
