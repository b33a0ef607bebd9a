"""Virtual sensors and the real client together: what was measured is held against what arrived.

The client is :class:`edge_twin_adapters.ble.source.BleSource` as a site runs it, through bleak and the
virtual radio, one for each sensor; only the radio and the time are simulated.
"""

from __future__ import annotations

import asyncio
import random
import time as real_time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from edge_twin.observation import DeviceEvent, DeviceEventKind
from edge_twin_adapters.ble.finder import Finder
from edge_twin_adapters.ble.frame import DecodeContext
from edge_twin_adapters.ble.link import Counters, LinkSecurity, LinkTimes
from edge_twin_adapters.ble.mailbox import Frame
from edge_twin_adapters.ble.peers.accounting import Account, Arrivals, account
from edge_twin_adapters.ble.peers.catalogue import SITE_PROFILES, identity_of, make_sensor
from edge_twin_adapters.ble.peers.faults import Fault, FaultKind, plan_faults
from edge_twin_adapters.ble.peers.ledger import Fate
from edge_twin_adapters.ble.peers.peer import VirtualPeer
from edge_twin_adapters.ble.peers.recording import RecordingPeer
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime
from edge_twin_adapters.ble.peers.stored import StoringPeer
from edge_twin_adapters.ble.profiles import PROFILES, Profile
from edge_twin_adapters.ble.source import BleSource
from edge_twin_adapters.ble.virtual import VirtualRadio
from edge_twin_adapters.errors import AdapterError

INGESTIBLE = tuple(SITE_PROFILES)
# What proves encryption: a feature that a protected sensor gives to nobody else.
_PROOFS: Mapping[str, str] = {"blood_pressure": "2a49", "cgm": "2aa8", "weight": "2a9e", "glucose": "2a51"}

_LINK_EVENTS = (DeviceEventKind.CONNECTED, DeviceEventKind.DISCONNECTED)

# The patience of the client, in real seconds, where the simulation runs at hundreds of times real time.
_TIMES = LinkTimes(attempt_s=5.0, job_s=5.0, stall_s=2.0)
# Seconds between two requests for stored records where a sensor does not tell of new ones.
_ASK_S = 60.0
# Longest simulated time after the end in which links come back and sensors are emptied.
_LONGEST_END_S = 3600
# Then the last report of stored records is compared with its count.
_SETTLES_S = 30.0
# Longest real time for the first links, and for what waits in queues at the end.
_PATIENCE_S = 60.0
# Scanning and connecting take about a tenth of a second of real time: half a minute at this speed.
USUAL_SPEED = 300.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated.

    Attributes:
        kinds: sensors, of :data:`INGESTIBLE`.
        seconds: simulated length.
        seed: of the readings and of the client's jitter.
        faults: what goes wrong.
        protected: the kinds whose services need a bond.
        start: first moment.
        speed: most simulated seconds for a real one.

    Raises:
        AdapterError: ``unknown_sensor``.
    """

    kinds: tuple[str, ...]
    seconds: float
    seed: int
    faults: tuple[Fault, ...] = ()
    protected: frozenset[str] = frozenset()
    start: datetime = datetime(2026, 3, 2, tzinfo=UTC)
    speed: float = USUAL_SPEED

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in SITE_PROFILES:
                known = ", ".join(INGESTIBLE)
                raise AdapterError(f"no sensor {kind} to connect to; there are {known}", reason="unknown_sensor")


@dataclass(frozen=True, slots=True)
class Ingestion:
    """What came of it.

    Attributes:
        accounts: one for each stream of each sensor.
        counters: of each source, by sensor.
        faults: how many of each kind struck.
        simulated_s: simulated seconds, with those that were waited for the last links.
        wall_s: real seconds that it took.
        cpu_s: processor seconds of this process: sensors, radio and client together.
    """

    accounts: tuple[Account, ...]
    counters: Mapping[str, Counters]
    faults: Mapping[FaultKind, int]
    simulated_s: float
    wall_s: float
    cpu_s: float

    @property
    def is_closed(self) -> bool:
        """Whether every record of every sensor arrived exactly once or lies in a gap that was told."""
        return all(one.is_closed and not one.waiting for one in self.accounts)

    @property
    def notifications(self) -> int:
        """Values that the client received."""
        return sum(one.notifications for one in self.counters.values())


@dataclass(slots=True)
class _Pair:
    """A sensor and the source that reads it."""

    sensor: VirtualPeer
    source: BleSource
    arrivals: Arrivals = field(default_factory=Arrivals)
    told_up: bool = False

    async def consume(self) -> None:
        async with aclosing(self.source.stream()) as stream:
            async for item in stream:
                self.arrivals.add(item)
                if isinstance(item, DeviceEvent) and item.kind in _LINK_EVENTS:
                    self.told_up = item.kind is DeviceEventKind.CONNECTED

    @property
    def is_linked(self) -> bool:
        """Whether the client has told that the link is up, and it still is."""
        return self.told_up and self.sensor.listens(self.sensor.measurement)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits in the sensor; one that keeps nothing has nothing."""
        keeps = isinstance(self.sensor, (StoringPeer, RecordingPeer))
        return not keeps or not any(entry.fate is Fate.STORED for entry in self.sensor.ledger)


async def ingest(scenario: Scenario, on_frame: Callable[[Frame], None] | None = None) -> Ingestion:
    """Let the sensors measure and the client read them, from the first link to the last record.

    Args:
        scenario: what is simulated.
        on_frame: handed every frame of every sensor, as a site may keep them.

    Raises:
        AdapterError: ``not_linked`` when a sensor could not be connected to at the start.
    """
    time = SimulatedTime(scenario.start, speed=scenario.speed)
    wall, cpu = real_time.perf_counter(), real_time.process_time()
    async with VirtualRadio() as radio:
        finder = Finder(radio.backends, _TIMES)
        pairs = [_pair(kind, scenario, radio, time, finder, on_frame) for kind in scenario.kinds]
        consumers = [asyncio.create_task(pair.consume()) for pair in pairs]
        try:
            await _link(pairs, consumers)
            for pair in pairs:
                pair.sensor.plan(scenario.faults)
            await time.run(scenario.seconds)
            await _finish(pairs, time)
        finally:
            await asyncio.gather(*(pair.source.aclose() for pair in pairs))
            await asyncio.gather(*consumers)
    wall, cpu = real_time.perf_counter() - wall, real_time.process_time() - cpu
    return _report(pairs, (time.now() - scenario.start).total_seconds(), wall, cpu)


def _pair(  # noqa: PLR0913, PLR0917 - what a sensor and its source need meets here, once
    kind: str,
    scenario: Scenario,
    radio: VirtualRadio,
    time: SimulatedTime,
    finder: Finder,
    on_frame: Callable[[Frame], None] | None,
) -> _Pair:
    index = scenario.kinds.index(kind)
    sensor = make_sensor(kind, radio, time, seed=scenario.seed + index, protected=kind in scenario.protected)
    if not isinstance(sensor, VirtualPeer):
        raise AdapterError(f"{kind} takes no connection", reason="unknown_sensor")
    source = BleSource(
        sensor.address,
        _profile(kind, protected=kind in scenario.protected),
        clock=time.now,
        rng=random.Random(scenario.seed + index),  # noqa: S311 - jitter
        context=DecodeContext(source=sensor.name, patient_zone=UTC),
        backends=radio.backends,
        times=_TIMES,
        sleep=time.sleep,
        on_frame=on_frame,
        security=LinkSecurity(repair=True),
        finder=finder,
    )
    return _Pair(sensor, source)


def _profile(kind: str, *, protected: bool) -> Profile:
    profile = PROFILES[SITE_PROFILES[kind]]
    if profile.stored is not None and kind == "glucose":
        profile = replace(profile, stored=replace(profile.stored, every_s=_ASK_S))
    return replace(profile, protected=_PROOFS.get(kind)) if protected else profile


async def _link(pairs: Sequence[_Pair], consumers: Sequence[asyncio.Task[None]]) -> None:
    """Switch the sensors on and wait for the client; time stands still meanwhile, so nothing is measured yet.

    A source that ended does not come up any more; its error is raised when the consumers are gathered.
    """
    for pair in pairs:
        await pair.sensor.begin()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while not all(pair.is_linked for pair in pairs):
                if any(consumer.done() for consumer in consumers):
                    return
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        missing = [pair.sensor.name for pair in pairs if not pair.is_linked]
        raise AdapterError(f"no link to {', '.join(missing)}", reason="not_linked") from error


async def _finish(pairs: Sequence[_Pair], time: SimulatedTime) -> None:
    """Wait for links that are still down and for what sensors still keep, and then for what is under way."""
    for _ in range(_LONGEST_END_S):
        if all(pair.is_linked and pair.is_empty and not pair.sensor.faults_to_come for pair in pairs):
            break
        await time.run(1.0)
    await time.run(_SETTLES_S)
    async with asyncio.timeout(_PATIENCE_S):
        while any(pair.source.pending for pair in pairs):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


def _report(pairs: Sequence[_Pair], simulated_s: float, wall_s: float, cpu_s: float) -> Ingestion:
    accounts = [one for pair in pairs for one in account(pair.sensor.name, pair.sensor.ledger, pair.arrivals)]
    kinds = [fault.kind for pair in pairs for fault in pair.sensor.struck]
    return Ingestion(
        tuple(accounts),
        {pair.sensor.name: pair.source.counters for pair in pairs},
        {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
        simulated_s,
        wall_s,
        cpu_s,
    )


def faulty_day(seconds: float, seed: int, *, disconnects: int = 20) -> Scenario:
    """Everything at once, and everything goes wrong.

    A chest strap, a Polar strap with ECG and acceleration, oximeter, thermometer, glucose sensor, scale
    and cuff; lost links spread over all of them, a lost bond of each of the two that have one, a clock that
    is reset, and a report of stored glucose records that stalls after the sensor was away.

    Args:
        seconds: simulated length, at least a quarter of an hour for the stalled report to find records.
        seed: of readings, faults and jitter.
        disconnects: lost links, the one of the glucose sensor before the stalled report included.
    """
    kinds = ("heart_rate", "polar", "oximeter", "thermometer", "cgm", "weight", "blood_pressure")
    names = {kind: identity_of(kind).name for kind in kinds}
    cgm = names["cgm"]
    wanted: dict[FaultKind, tuple[int, Sequence[str]]] = {
        FaultKind.DISCONNECT: (disconnects - 1, [name for name in names.values() if name != cgm]),
        FaultKind.LOST_BOND: (1, [names["blood_pressure"]]),
        FaultKind.CLOCK_RESET: (1, [names["polar"], names["thermometer"]]),
    }
    rng = random.Random(seed)  # noqa: S311 - a plan
    begin, away_s = 0.3 * seconds, min(1800.0, 2 * seconds / 3)
    faults = (
        *plan_faults(rng, seconds, wanted),
        # Well before the absence, so that it cannot end the report that is to stall.
        *plan_faults(rng, begin / 2, {FaultKind.LOST_BOND: (1, [cgm])}),
        Fault(begin, FaultKind.DISCONNECT, cgm, away_s),
        Fault(begin + away_s / 2, FaultKind.STALLED_BACKFILL, cgm, 1.0),
    )
    return Scenario(kinds, seconds, seed, faults, frozenset(("cgm", "blood_pressure")))
