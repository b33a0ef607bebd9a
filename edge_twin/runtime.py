"""The loop that feeds the twin: sources -> bounded queue -> store -> pure step -> store and outlet.

Each source runs in a task of its own; one that fails is noted, waited for and started again, and never
stops the others. The queue is bounded, so a slow disk slows the sources instead of filling the memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol, runtime_checkable
from zoneinfo import ZoneInfo

from edge_twin import codes
from edge_twin.background import is_prompt, read_background
from edge_twin.care import CareContext
from edge_twin.contract import Dose, Model, Posterior, TwinInput, TwinOutput
from edge_twin.deadman import Heartbeat, check
from edge_twin.errors import EdgeTwinError, LifeError, StoreError
from edge_twin.features import LOOK_BACK, TREND_INPUTS, Feature
from edge_twin.features.calendar import day_bounds, local_date
from edge_twin.features.day import MOTION, NOON, dates_touched
from edge_twin.features.heart_stream import STREAMED
from edge_twin.features.windows import WINDOW_NAMES
from edge_twin.flag import Flag
from edge_twin.flags.alarm_rules import alarm_rules
from edge_twin.flags.life import Life, Lives, Step
from edge_twin.flags.lifecycle import deliver, follow, tick
from edge_twin.jsonform import output_form
from edge_twin.observation import CORRECTED, DeviceEvent, DeviceEventKind, Observation, Waveform
from edge_twin.program import Program
from edge_twin.store import Store
from edge_twin.streaming import Streams
from edge_twin.trust import SiteTrust
from edge_twin.trusting import Bookkeeper
from edge_twin.twin import LARGEST_LEAD, advance

log = logging.getLogger(__name__)

Item = Observation | Waveform | DeviceEvent
QUEUE_SIZE = 4096  # about an hour of beats from one strap
BATCH_SIZE = 512  # one durable commit costs as much as some hundred rows
RESTART_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # the last one repeats
FEATURE_MEMORY = timedelta(days=90)  # baselines look back a month; the rest stays in the store
WINDOW_MEMORY = timedelta(days=2)  # a step looks at the newest windows of beats only
SETTLING = timedelta(minutes=2)  # a window of beats may still grow for a pause of one minute
TICK = timedelta(minutes=15)  # the longest time without a step while the clock moves


class Source(Protocol):
    """Anything that yields observations and device events."""

    @property
    def name(self) -> str:
        """Short name for the log and the events table; no patient data."""

    def stream(self) -> AsyncIterator[Item]:
        """Items until the source ends for good; an exception means "start me again later"."""


@dataclass(frozen=True)
class Outgoing:
    """What one step hands to the outlet."""

    now: datetime
    features: tuple[tuple[Feature, int], ...]  # each with its version
    flags: tuple[Life, ...]  # each with its newest version
    posterior: Posterior | None


class Outlet(Protocol):
    """Where distilled results leave; called inside the store's open transaction."""

    def put(self, outgoing: Outgoing) -> None:
        """Queue for sending.

        Raises:
            EdgeTwinError: when it cannot be queued; the features stay unsent and are offered again.
        """


@runtime_checkable
class Confirming(Protocol):
    """An outlet that learns what arrived."""

    def confirmed(self) -> Sequence[tuple[int, int]]:
        """Number and version of every flag that the centre has confirmed since the last call, oldest first."""


@dataclass(frozen=True)
class Plan:
    """What the clinic set for this patient.

    Attributes:
        time_zone: IANA name.
        program: with its limits, possibly tightened.
        model: the reduced model, or None.
        doses: what was or will be given; the step uses those before now.
        seed, members: of the ensemble.
        further_models: for drugs that ``model`` does not know, in order of preference.
        care: what the clinic knows about the patient that rules need.
        trust: what the site settles about trust; without it what a model says is recorded and shown to nobody.
    """

    time_zone: str
    program: Program
    model: Model | None
    doses: tuple[Dose, ...] = ()
    seed: int = 1
    members: int | None = None
    further_models: tuple[Model, ...] = ()
    care: CareContext = field(default_factory=CareContext)
    trust: SiteTrust = field(default_factory=SiteTrust)


class Runtime:
    """The device's main loop.

    Args:
        store: owned by this runtime while it runs.
        plan: what the clinic set.
        sources: where data come from.
        clock: gives the time; the system's in production.
        outlet: where results leave, or None to keep all on the device.
        tick_seconds: how often to look whether the clock alone calls for a step (an overdue reading).
        stepped: told of every step that was taken and kept.
    """

    def __init__(  # noqa: PLR0913 - the joints of the whole device meet here, each named at the call
        self,
        store: Store,
        plan: Plan,
        sources: Sequence[Source],
        *,
        clock: Callable[[], datetime],
        outlet: Outlet | None = None,
        tick_seconds: float = 60.0,
        stepped: Callable[[TwinOutput], None] | None = None,
    ) -> None:
        self.store = store
        self.plan = plan
        self.last: TwinOutput | None = None
        self.last_input: TwinInput | None = None
        self.steps = 0
        self._sources = sources
        self._clock = clock
        self._outlet = outlet
        self._tick_seconds = tick_seconds
        self._stepped = stepped
        self._zone = ZoneInfo(plan.time_zone)
        self._alarms = alarm_rules(plan.program)
        self._book = Bookkeeper(store.ledger, plan.program, plan.trust, plan.model.id if plan.model else "")
        self._outage: Flag | None = None  # told with the first step after it
        self._started: datetime | None = None
        self._queue: asyncio.Queue[Observation | DeviceEvent] = asyncio.Queue(QUEUE_SIZE)
        self._waveforms: Counter[str] = Counter()  # seen and not yet noted in the store
        self._stepping = asyncio.Lock()
        self._touched: set[date] = set()  # local days with readings not yet distilled
        self._streams = Streams(store, self._zone, LARGEST_LEAD)

    async def run(self) -> None:
        """Run until every source has ended and everything they gave was worked on."""
        await self._resume()
        consumer = asyncio.create_task(self._consume())
        ticker = asyncio.create_task(self._tick())
        pumps = [asyncio.create_task(self._pump(source)) for source in self._sources]
        try:
            await _all_done(pumps, consumer)
            await self._put(self._streams.open_minutes())
            await _all_done([asyncio.create_task(self._queue.join())], consumer)
            await self._step()
        finally:
            await _end([*pumps, consumer, ticker])

    async def settled(self) -> None:
        """Wait until everything received so far is stored and worked on."""
        await self._queue.join()

    async def _resume(self) -> None:
        """After a restart: work on what had been stored but perhaps not distilled, and say how long nobody looked."""
        now = self._started = self._clock()
        heartbeat = self.store.flags.heartbeat()
        self._outage = check(heartbeat, now, self._zone, self._alarms) if heartbeat else None
        self._touched |= set(self._stored_days(now))
        self._streams.start(now, self._touched)
        if self._touched:
            await self._step()

    def _stored_days(self, now: datetime) -> Iterator[date]:
        """The local days with a reading, from two days before ``now`` on."""
        moment: datetime | None = now - timedelta(days=2)
        while moment and (moment := self.store.first_time(moment)):
            day = local_date(moment, self._zone)
            yield day
            moment = day_bounds(day, self._zone)[1]

    async def _pump(self, source: Source) -> None:
        failures = 0
        while True:
            try:
                async for item in source.stream():
                    failures = 0
                    await self._take(item)
            except Exception as error:  # noqa: BLE001 - one bad source never stops the others
                log.warning("source %s failed: %s", source.name, type(error).__name__)
                detail = f"source_failed {getattr(error, 'reason', type(error).__name__)}"
                await self._queue.put(DeviceEvent(DeviceEventKind.REFUSED, self._clock(), source.name, detail))
            else:
                return
            await asyncio.sleep(RESTART_SECONDS[min(failures, len(RESTART_SECONDS) - 1)])
            failures += 1

    async def _take(self, item: Item) -> None:
        """Queue what is kept. Waveforms are not: a day of one ECG lead is eleven million samples.

        They are counted, and acceleration goes through its stream, of which the minutes are kept.
        """
        if isinstance(item, Waveform):
            self._waveforms[f"waveforms_{item.code.name}"] += 1
            self._waveforms[f"samples_{item.code.name}"] += len(item.samples)
            await self._put(self._streams.minutes_of(item))
            return
        await self._queue.put(item)

    async def _put(self, minutes: Sequence[Observation]) -> None:
        for minute in minutes:
            await self._queue.put(minute)

    async def _consume(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH_SIZE and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            if self._absorb(batch):
                await self._step()
            for _ in batch:
                self._queue.task_done()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._tick_seconds)
            now = self._clock()
            looked = self.last.now if self.last else self._started or now
            if now - looked >= TICK and self._queue.empty():
                await self._step()
            elif self.last is not None:
                self._remind(now)

    def _remind(self, now: datetime) -> None:
        """What the clock alone calls for between two steps: ended snoozes, missing answers."""
        try:
            with self.store.transaction():
                self._confirm(now)
                if self._move(lambda lives: tick(lives, now, self._alarms, self._book.held_back), now):
                    self._hand_over(now, None)
        except StoreError as error:  # tried again with the next tick; a step that meets it ends the runtime
            log.warning("reminders not kept: %s", error.reason)

    def _absorb(self, batch: Sequence[Observation | DeviceEvent]) -> bool:
        """Store a batch in one transaction; returns whether it calls for a step now."""
        events = [item for item in batch if isinstance(item, DeviceEvent)]
        with self.store.transaction():
            new = self.store.add_observations(item for item in batch if isinstance(item, Observation))
            self.store.add_events(events)
            for event in events:
                self.store.count(f"event_{event.kind}")
            self._note_waveforms()
            self._compare(new)
            self._streams.absorb(new, self._clock())
            self._book.came(new, self._clock())
        self._touched |= self._days_touched(new)
        return any(is_prompt(o, self._since_last()) for o in new) or self._is_new_day(new)

    def _since_last(self) -> timedelta:
        """Time since the last step; the longest there is before the first."""
        return timedelta.max if self.last is None else self._clock() - self.last.now

    def _note_waveforms(self) -> None:
        counted, self._waveforms = self._waveforms, Counter()
        for name, number in (*counted.items(), *self._streams.counted()):
            self.store.count(name, number)

    def _compare(self, new: Sequence[Observation]) -> None:
        """Hold each new count against the interval that was forecast before it came."""
        last = self.last
        if last is None or last.forecast is None:
            return
        for count in new:
            if count.code == self.plan.program.count.code and count.is_usable and count.time > last.now:
                self.store.compare(count, last.forecast.band_at(count.time), last.now)

    def _is_new_day(self, new: Sequence[Observation]) -> bool:
        if self.last is None or not new:
            return bool(new)
        return local_date(self._clock(), self._zone) != local_date(self.last.now, self._zone)

    def _days_touched(self, new: Sequence[Observation]) -> set[date]:
        """Local days whose features these readings may change; an amended result also changes that of the first one."""
        days = {day for reading in new for day in dates_touched(reading, self._zone)}
        for reading in new:
            if "record" in reading.attributes and reading.attributes.get("status") in CORRECTED:
                days |= {local_date(o.time, self._zone) for o in self.store.observations(code=reading.code)}
        return days

    async def _step(self) -> None:
        """Take the pure step on a worker thread and keep what it says."""
        async with self._stepping:
            touched, self._touched = self._touched, set()
            try:
                now = self._clock()
                self._streams.settle(now)
                given = self._input(now, touched)
                output = await asyncio.to_thread(advance, given)
                self._keep(given, output)
            except BaseException:
                self._touched |= touched
                raise
            self.last, self.last_input = output, given
            self.steps += 1
            if self._stepped:
                self._stepped(output)

    def _input(self, now: datetime, touched: set[date]) -> TwinInput:
        plan = self.plan
        today = local_date(now, self._zone)
        days = frozenset(day for day in touched | {today} if day <= today)
        # Readings of days to come make no feature, but the step says that there are some.
        readings = [o for day in touched | days for o in self._day_readings(day)]
        readings += self.store.observations(code=plan.program.count.code)
        readings += self.store.observations(since=now - timedelta(days=2), code=codes.BODY_TEMPERATURE)
        readings += self._streams.to_look_at(now)
        return TwinInput(
            now=now,
            time_zone=plan.time_zone,
            program=plan.program,
            model=plan.model,
            observations=tuple(readings),
            features=self._remembered(now),
            doses=plan.doses,
            coverage=self.store.coverage(),
            seed=plan.seed,
            members=plan.members,
            further_models=plan.further_models,
            care=plan.care,
            background=read_background(self.store, now, day_bounds(today, self._zone)[0]),
            days=days,
            distilled=STREAMED,
        )

    def _remembered(self, now: datetime) -> tuple[Feature, ...]:
        """Nights and days of three months, but windows of the last days alone: there are a thousand of those a day.

        Of older days what trends look back on.
        """
        recent = now - FEATURE_MEMORY
        older = self.store.features(recent - LOOK_BACK, until=recent, names=TREND_INPUTS)
        lasting = self.store.features(recent, without=WINDOW_NAMES)
        return older + lasting + self.store.features(now - WINDOW_MEMORY, names=WINDOW_NAMES)

    def _day_readings(self, day: date) -> tuple[Observation, ...]:
        """Every reading of a local day but those that are streamed, and the motion of the evening before."""
        start, end = day_bounds(day, self._zone)
        evening = [o for code in MOTION for o in self.store.observations(since=start - NOON, until=start, code=code)]
        return (*evening, *self.store.observations(since=start, until=end, without=STREAMED))

    def _keep(self, given: TwinInput, output: TwinOutput) -> None:
        with self.store.transaction():
            self.store.put_features(set(output.features) - set(given.features), output.now)
            self.store.put_forecast(output.now, {**output_form(output), "features": []})
            self._confirm(output.now)
            self._book.record(given, output)
            self._move_flags(output)
            self._note_waveforms()
            self._hand_over(output.now, self._daily_posterior(output))
            expected = output.now + TICK + timedelta(seconds=self._tick_seconds)
            self.store.flags.beat(Heartbeat(output.now, expected))
        self._outage = None

    def _move_flags(self, output: TwinOutput) -> None:
        """What people see of the flags that hold now (edge_twin/flags/lifecycle.py)."""
        holding = output.flags if self._outage is None else (*output.flags, self._outage)
        self._move(lambda lives: follow(lives, holding, output.now, self._alarms, self._book.held_back), output.now)

    def _confirm(self, now: datetime) -> None:
        """Note which flags the clinic's system has confirmed."""
        confirmed: Sequence[tuple[int, int]] = ()
        if isinstance(self._outlet, Confirming):
            confirmed = self._outlet.confirmed()
        for number, version in confirmed:
            before = self.store.flags.lives()
            try:
                self.store.flags.keep(before, deliver(before, number, version, now))
            except LifeError:  # a newer flag of the same key has taken its place; this one is history
                self.store.count("flag_confirmed_late")

    def _move(self, move: Callable[[Lives], Step], now: datetime) -> bool:
        """Move the flags within the open transaction; returns whether anything happened."""
        before = self.store.flags.lives()
        step = move(before)
        self.store.flags.keep(before, step)
        self._book.raised(step.events, now)
        return bool(step.events)

    def _hand_over(self, now: datetime, posterior: Posterior | None) -> None:
        """Hand what may leave to the outlet, in the same transaction; a refusal there undoes nothing here."""
        if self._outlet is None:
            return
        features = self.store.unsent_features(self.plan.program.features_synced, now - SETTLING)
        flags = tuple(life for life in self.store.flags.unsent() if self._book.may_leave(life))
        outgoing = Outgoing(now, features, flags, posterior)
        try:
            with self.store.transaction():
                self._outlet.put(outgoing)
                self.store.mark_sent(feature for feature, _ in features)
                self.store.flags.mark_sent(flags)
        except EdgeTwinError as error:
            log.warning("outlet refused: %s", error.reason)
            self.store.count(f"outlet_{error.reason}")

    def _daily_posterior(self, output: TwinOutput) -> Posterior | None:
        """The state travels once a local day: its growth is slow and it is the largest record."""
        if self.last is None or local_date(output.now, self._zone) != local_date(self.last.now, self._zone):
            return output.posterior
        return None


async def _all_done(tasks: Sequence[asyncio.Task[None]], consumer: asyncio.Task[None]) -> None:
    """Wait for ``tasks``, but let a failure of the consumer (a full disk) come out at once."""
    waiting = set(tasks)
    while waiting:
        done, _ = await asyncio.wait({*waiting, consumer}, return_when=asyncio.FIRST_COMPLETED)
        if consumer in done:
            await _end(tasks)
            await consumer
        for task in done & waiting:
            task.result()
        waiting -= done


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel and wait until it is so; what they raise is not asked for any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


__all__ = ["Confirming", "Item", "Outgoing", "Outlet", "Plan", "Runtime", "Source"]
