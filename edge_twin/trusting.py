"""The runtime's bookkeeper: chains promises before their outcome, holds outcomes against them, knows the stage.

Everything is written in the transaction of the step that made it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from edge_twin.contract import TwinInput, TwinOutput
from edge_twin.flags.life import Act, Event, Life, Silence
from edge_twin.ledger import Entered, Entry
from edge_twin.ledger_store import LedgerStore
from edge_twin.observation import Observation
from edge_twin.program import Program
from edge_twin.promises import Cover, count_outcome, cover_of, flag_promise, forecast_promise, is_due
from edge_twin.track_record import TrackRecord, track_record
from edge_twin.trust import Audience, SiteTrust, Stage, Standing, audience, limited, standing
from edge_twin.trust_monitor import is_refuted
from edge_twin.trust_rules import trust_rules

_DECIDING = (Entered.GRANT, Entered.DEMOTION)
_OUTCOMES = frozenset((Entered.COUNT, Entered.VERDICT))
_SILENCE = {Stage.SILENT: Silence.SILENT, Stage.ADVISORY: Silence.ADVISORY}
_DAY = timedelta(days=1)


class Bookkeeper:
    """Ledger and stage of one running device.

    Args:
        ledger: of the store.
        program: that runs.
        site: what the site settles.
        bundle: of the model that runs; empty without one.
    """

    def __init__(self, ledger: LedgerStore, program: Program, site: SiteTrust, bundle: str) -> None:
        self._ledger = ledger
        self._program = program
        self._site = site
        self._rules = trust_rules()
        self._cover = cover_of(program, bundle)
        self._standing: Standing | None = None  # verified at the first step: the signatures cost some milliseconds
        self._forecast: Entry | None = ledger.last(Entered.FORECAST)
        self._pruned: datetime | None = None
        self._unseen = True  # whether outcomes came that the monitor has not looked at
        self._verdict = 0  # number of the last verdict that it looked at; a command writes them

    # ---- what the runtime calls, each within an open transaction --------------------------------------------

    def record(self, given: TwinInput, output: TwinOutput) -> None:
        """Chain the forecast of a step where it is due, and see which stage is in force."""
        if output.model_id != self._cover.bundle:
            self._cover, self._standing = cover_of(self._program, output.model_id), None
        promise = forecast_promise(given, output)
        if promise is not None:
            self._promise(promise, output.now)
        if self._is_news():
            self._watch(output.now)
        self._settle(output.now)
        self._prune(output.now)

    def came(self, new: Iterable[Observation], now: datetime) -> None:
        """Chain new counts beside what was promised for them before they were taken."""
        for count in new:
            if count.code == self._program.count.code and count.is_usable and count.time <= now:
                self._came(count, now)

    def raised(self, events: Iterable[Event], now: datetime) -> None:
        """Chain the flags that went up."""
        for event in events:
            if event.act is Act.RAISED and event.form is not None:
                says = flag_promise(event.flag, event.key, event.form, self._cover)
                self._ledger.append(Entered.FLAG, now, says, subject=str(event.flag))

    def held_back(self, life: Life) -> Silence:
        """Why the patient is not told of a flag."""
        seen = audience(life.form, self.stage)
        return Silence.NONE if Audience.PATIENT in seen else _SILENCE[self.stage]

    def may_leave(self, life: Life) -> bool:
        """Whether clinicians see a flag; one that they have seen is followed to its end."""
        return Audience.CLINICIAN in audience(life.form, self.stage) or life.delivered_version > 0

    @property
    def stage(self) -> Stage:
        """In force; silent before the first step."""
        return self._standing.stage if self._standing else Stage.SILENT

    def _is_news(self) -> bool:
        """Whether outcomes came since the monitor looked; asking clears it."""
        last = self._ledger.last(Entered.VERDICT)
        number = last.number if last else 0
        news = self._unseen or number > self._verdict
        self._unseen, self._verdict = False, number
        return news

    # ---- parts ------------------------------------------------------------------------------------------------

    def _promise(self, promise: dict[str, object], now: datetime) -> None:
        newest, every = self._forecast, self._rules.span("ledger", "forecast_hours")
        says, at = (newest.says, newest.at) if newest else (None, None)
        if is_due(says, at, promise, now, every):
            self._forecast = self._ledger.append(Entered.FORECAST, now, promise, subject=self._cover.text)

    def _came(self, count: Observation, now: datetime) -> None:
        promise = self._ledger.last(Entered.FORECAST, before=count.time)
        known = promise if promise is not None and promise.body is not None else None
        says = count_outcome(count, known.says if known else None)
        refers = known.number if known and "inside" in says else 0
        self._ledger.append(Entered.COUNT, now, says, subject=count.id, refers=refers)
        self._unseen = True

    def _watch(self, now: datetime) -> None:
        """Take trust away when outcomes since it was given speak against it."""
        found = self._standing or self._stand(now)
        self._standing = found
        if found.grant is None or found.stage is Stage.SILENT:
            return
        record = self._since(found.since, now)
        for why, seen, failed, tolerated, lower in (
            ("coverage", record.counts, record.counts - record.inside, "tolerated_misses", Stage.SILENT),
            ("precision", record.resolved, record.rejected, "tolerated_false_flags", below(found.stage)),
        ):
            rate = self._rules.value("trust_monitor", "false_demotion")
            if is_refuted(seen, failed, self._rules.value("trust_monitor", tolerated), rate):
                says = {"stage": lower, "why": why, "seen": seen, "failed": failed}
                self._ledger.append(Entered.DEMOTION, now, says, subject=self._cover.text)
                self._standing = None
                return

    def _since(self, number: int, now: datetime) -> TrackRecord:
        """Promises made after an entry, with what came of them."""
        later = list(self._ledger.entries((Entered.FORECAST, Entered.FLAG, *_OUTCOMES), after=number))
        mine = [entry for entry in later if entry.kind != Entered.COUNT or not entry.refers or entry.refers > number]
        return track_record(mine, self._cover, now, self._rules, head=self._ledger.head())

    def _stand(self, now: datetime) -> Standing:
        return standing(self._ledger.entries(_DECIDING), self._cover, self._site, now)

    def _settle(self, now: datetime) -> None:
        """Which stage is in force from now on; chained when it changes."""
        self._standing = limited(self._standing or self._stand(now), self._site, now)
        last = self._ledger.last(Entered.STAGE)
        says = {"stage": self._standing.stage, "why": self._standing.why, "cover": self._cover.text}
        if last is None or any(last.says[name] != value for name, value in says.items()):
            self._ledger.append(Entered.STAGE, now, says, subject=self._cover.text)

    def _prune(self, now: datetime) -> None:
        if self._pruned is None or now - self._pruned >= _DAY:
            self._pruned = now
            self._ledger.drop_bodies(now - self._rules.span("ledger", "body_days"), now)


def below(stage: Stage) -> Stage:
    """One step down; silent stays silent."""
    return tuple(Stage)[max(stage.rank - 1, 0)]


def stage_kept(ledger: LedgerStore) -> Stage:
    """The stage that the running device noted last; silent before it did."""
    last = ledger.last(Entered.STAGE)
    return Stage(last.says["stage"]) if last else Stage.SILENT


__all__ = ["Bookkeeper", "Cover", "below", "stage_kept"]
