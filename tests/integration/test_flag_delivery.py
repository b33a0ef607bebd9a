"""Who knows of a flag: the phone alone until the centre has acknowledged the message that carries it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge_twin import codes
from edge_twin.contract import Dose
from edge_twin.flag import FlagKind
from edge_twin.flags.whereabouts import whereabouts
from edge_twin.observation import observe
from edge_twin.program import Program
from edge_twin.reduced_model import ReducedModel
from edge_twin.runtime import Item, Plan, Runtime
from edge_twin.store import Store
from edge_twin_app.outlet import OutboxOutlet
from edge_twin_sync.outbox import Outbox
from edge_twin_sync.sealer import Sealer
from edge_twin_sync.streams import Stream
from tests.sync_harness import House

NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)


class Hot:
    """A thermometer that says one fever."""

    name = "thermometer"

    def __init__(self, time: datetime) -> None:
        self._time = time

    async def stream(self) -> AsyncIterator[Item]:
        yield observe(codes.BODY_TEMPERATURE, 38.5, self._time, source=self.name, attributes={"site": "oral"})


class Phone:
    """A store with a real outbox in it."""

    def __init__(self, store: Store, house: House, plan: Plan) -> None:
        self.store = store
        self.outbox = Outbox(store.database, Sealer(house.keys))
        self._plan = plan

    async def look(self, at: datetime) -> str:
        """A run that ends; what the flag then says of who knows it."""
        outlet = OutboxOutlet(self.outbox, self.store.flags)
        await Runtime(self.store, self._plan, [Hot(NOW)], clock=lambda: at, outlet=outlet).run()
        return whereabouts(self.store.flags.lives().by_key[FlagKind.FEVER], ZoneInfo("UTC")).text


@pytest.fixture
def phone(tmp_path: Path, program: Program, model: ReducedModel, docetaxel: Dose) -> Iterator[Phone]:
    house = House(tmp_path / "house")
    with closing(Store(tmp_path / "edge-twin.db")) as store:
        yield Phone(store, house, Plan("UTC", program, model, (docetaxel,), members=50))


def alert_rows(phone: Phone) -> list[tuple[int, int, int]]:
    return [row.id for row in phone.outbox.next_batch(100) if row.stream is Stream.ALERTS]


async def test_hz_alarm_08_delivered_is_said_only_after_the_centres_acknowledgement(phone: Phone) -> None:
    assert await phone.look(NOW) == "Only on this phone: your clinic does not know of this."
    assert (await phone.look(NOW + timedelta(minutes=1))).startswith("Only on this phone")
    for epoch, stream, seq in alert_rows(phone):
        phone.outbox.ack(epoch, stream, seq)
    assert (await phone.look(NOW + timedelta(minutes=2))).startswith(
        "Delivered to your clinic, confirmed by 08:02 on 2026-03-10"
    )
    assert phone.store.flags.messages() == ()


async def test_a_message_that_the_centre_refused_is_not_delivered(phone: Phone) -> None:
    await phone.look(NOW)
    for row in alert_rows(phone):
        phone.outbox.quarantine(row, 1, NOW, known_to_centre=True)
    assert (await phone.look(NOW + timedelta(minutes=2))).startswith("Only on this phone")
