"""From the twin's results to the outbox's records; the joint between the two rooms."""

from __future__ import annotations

from collections.abc import Iterator

from edge_twin.contract import Posterior
from edge_twin.features import Feature
from edge_twin.observation import Quality
from edge_twin.runtime import Outgoing
from edge_twin.store import FlagChange
from edge_twin_sync.outbox import Outbox
from edge_twin_sync.records import FeatureRecord, FlagRecord, Record, Schema, encode_batch
from edge_twin_sync.state_record import StateRecord
from edge_twin_sync.streams import Stream

LARGEST_BATCH = 200  # records in one message: about 10 kB, and an interrupted link repeats no more than that


class OutboxOutlet:
    """Queues what one step hands over, in the store's own transaction.

    Args:
        outbox: on the store's connection.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def put(self, outgoing: Outgoing) -> None:
        """Alerts first, then features, then the state; see :class:`edge_twin.runtime.Outlet`."""
        for stream, schema, records in _batches(outgoing):
            self._outbox.enqueue(stream, schema, encode_batch(schema, records), outgoing.now)


def _batches(outgoing: Outgoing) -> Iterator[tuple[Stream, Schema, list[Record]]]:
    flags: list[Record] = [_flag(change) for change in outgoing.flags]
    # A first number that is none stays here; one that was a number before is called back.
    features: list[Record] = [_feature(f, v) for f, v in outgoing.features if f.value is not None or v > 1]
    states: list[Record] = [_state(outgoing, outgoing.posterior)] if outgoing.posterior else []
    for stream, schema, records in (
        (Stream.ALERTS, Schema.FLAGS_V1, flags),
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


def _flag(change: FlagChange) -> FlagRecord:
    form = change.form
    return FlagRecord(
        id=str(change.id),
        kind=form["kind"],
        time=change.raised,
        urgency=form["urgency"],
        reason=form["reason"],
        probability=form["probability"],
        withdrawn=change.withdrawn,
    )


def _state(outgoing: Outgoing, posterior: Posterior) -> StateRecord:
    return StateRecord.from_covariance(outgoing.now, posterior.names, posterior.mean, posterior.covariance)
