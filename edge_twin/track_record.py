"""What came of the promises of a ledger: coverage, precision, alerts a week, Brier score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

from edge_twin.jsonform import plain
from edge_twin.ledger import Entered, Entry, Head
from edge_twin.observation import Origin
from edge_twin.promises import Counted, Cover, came
from edge_twin.trust_monitor import wilson
from edge_twin.trust_rules import TrustRules

SCHEMA = "edge-twin.track-record/1"
BINS = 10
_WEEK = timedelta(weeks=1)
Record = TypeVar("Record", bound="TrackRecord")


@dataclass(frozen=True)
class TrackRecord:
    """What was promised under one cover and what came of it; sums, so that records of patients add up.

    Attributes:
        cover: see :class:`~edge_twin.promises.Cover`.
        simulated: whether virtual patients are among them.
        patients: ledgers that were counted.
        first, last: of the period; None without an entry.
        weeks: patient-weeks of observation.
        forecasts: chained.
        counts, inside: measured counts for which an interval had been promised, and those inside of it.
        flags: raised by a model or a learned score.
        confirmed, rejected: of them; the rest is not resolved.
        foretold: probabilities whose event came or did not, one a day for each patient.
        brier_sum: sum of (probability - outcome) squared over them.
        reliability: for each tenth of the probability: how many, sum of the probabilities, how often it came.
        heads: of the ledgers.
    """

    cover: Cover
    simulated: bool = False
    patients: int = 0
    first: datetime | None = None
    last: datetime | None = None
    weeks: float = 0.0
    forecasts: int = 0
    counts: int = 0
    inside: int = 0
    flags: int = 0
    confirmed: int = 0
    rejected: int = 0
    foretold: int = 0
    brier_sum: float = 0.0
    reliability: tuple[tuple[int, float, int], ...] = ((0, 0.0, 0),) * BINS
    heads: tuple[str, ...] = ()

    @property
    def coverage(self) -> tuple[float, float]:
        """95 % interval of the share of counts inside."""
        return wilson(self.inside, self.counts)

    @property
    def resolved(self) -> int:
        """Flags of which it is known whether they were right."""
        return self.confirmed + self.rejected

    @property
    def precision(self) -> tuple[float, float]:
        """95 % interval of the share of flags that were right, of those resolved."""
        return wilson(self.confirmed, self.resolved)

    @property
    def alerts_per_week(self) -> float | None:
        """Flags for each patient-week; None without time."""
        return self.flags / self.weeks if self.weeks > 0.0 else None

    @property
    def brier(self) -> float | None:
        """Mean squared error of the probabilities; None without any."""
        return self.brier_sum / self.foretold if self.foretold else None

    def plus(self, other: Self) -> Self:
        """Both together.

        Raises:
            ValueError: another cover, or a ledger that is in both.
        """
        if other.cover != self.cover or set(self.heads) & set(other.heads):
            raise ValueError("records of one cover and of different ledgers add up")
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name in _SUMS}
        times = [time for time in (self.first, other.first, self.last, other.last) if time]
        bins = zip(self.reliability, other.reliability, strict=True)
        return replace(
            self,
            **sums,
            simulated=self.simulated or other.simulated,
            first=min(times, default=None),
            last=max(times, default=None),
            reliability=tuple((a[0] + b[0], a[1] + b[1], a[2] + b[2]) for a, b in bins),
        )

    @property
    def form(self) -> dict[str, Any]:
        """As JSON values, with the figures that follow from the sums."""
        sums = {f.name: plain(getattr(self, f.name)) for f in fields(self)}
        derived = {
            "coverage": plain(list(self.coverage)),
            "precision": plain(list(self.precision)),
            "alerts_per_week": plain(self.alerts_per_week),
            "brier": plain(self.brier),
        }
        return {"schema": SCHEMA, **sums, **derived}

    @classmethod
    def read(cls, form: Mapping[str, Any]) -> Self:
        """From JSON values; what follows from the sums is computed anew, not believed.

        Raises:
            ValueError, KeyError, TypeError: malformed, or sums that cannot be.
        """
        if form["schema"] != SCHEMA:
            raise ValueError(form["schema"])
        cover = Cover(str(form["cover"]["program"]), int(form["cover"]["version"]), str(form["cover"]["bundle"]))
        values: dict[str, Any] = {name: _whole(form[name]) for name in _WHOLE}
        for name in ("first", "last"):
            values[name] = None if form[name] is None else datetime.fromisoformat(form[name])
        values["reliability"] = tuple((_whole(n), float(p), _whole(k)) for n, p, k in form["reliability"])
        sums = {"weeks": float(form["weeks"]), "brier_sum": float(form["brier_sum"])}
        values |= {**sums, "simulated": form["simulated"] is not False, "heads": tuple(map(str, form["heads"]))}
        return _checked(cls(cover, **values))


_WHOLE = ("patients", "forecasts", "counts", "inside", "flags", "confirmed", "rejected", "foretold")
_SUMS = frozenset((*_WHOLE, "weeks", "brier_sum", "heads"))


def _checked(record: Record) -> Record:
    heads = len(record.heads) == len(set(record.heads)) == record.patients
    shares = record.inside <= record.counts and record.resolved <= record.flags and len(record.reliability) == BINS
    if not (heads and shares and 0.0 <= record.weeks < float("inf") and 0.0 <= record.brier_sum <= record.foretold):
        raise ValueError("a track record whose sums cannot be")
    return record


def _whole(value: Any) -> int:  # noqa: ANN401 - anything may stand in a file
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(value)
    return value


def track_record(  # noqa: PLR0913 - what was promised, about what, when it is asked, by which rules
    entries: Sequence[Entry], cover: Cover, now: datetime, rules: TrustRules, *, head: Head, simulated: bool = False
) -> TrackRecord:
    """What came of the promises under ``cover`` in the ledger of one patient.

    Args:
        entries: all of them, in order; those after a grant alone where only they count.
        cover: what is asked about.
        now: the moment of asking; a window that is not over decides nothing.
        rules: when a low count has come or not.
        head: of the ledger.
        simulated: whether the patient is a virtual one.
    """
    mine = [entry for entry in entries if _cover(entry) == cover.text]
    forecasts = [entry for entry in mine if entry.kind == Entered.FORECAST]
    compared = [entry.says["inside"] for entry in mine if entry.kind == Entered.COUNT]
    judged = _judged(entries, mine, now, rules)
    said = _foretold(entries, forecasts, now, rules)
    times = [entry.at for entry in mine]
    return TrackRecord(
        cover,
        simulated,
        patients=1,
        first=min(times, default=None),
        last=max(times, default=None),
        weeks=(max(times) - min(times)) / _WEEK if times else 0.0,
        forecasts=len(forecasts),
        counts=len(compared),
        inside=sum(compared),
        flags=len(judged),
        confirmed=judged.count(True),
        rejected=judged.count(False),
        foretold=len(said),
        brier_sum=sum((probability - happened) ** 2 for probability, happened in said),
        reliability=_reliability(said),
        heads=(head.text,),
    )


def _cover(entry: Entry) -> str:
    """Also of a forecast whose body was dropped."""
    return entry.subject if entry.kind == Entered.FORECAST else str(entry.says.get("cover", ""))


def is_earned(says: Mapping[str, Any]) -> bool:
    """Whether a flag is one for which trust must be earned: a model's, or a learned score's."""
    return says["origin"] == Origin.MODEL or bool(says["learned"])


def _judged(entries: Sequence[Entry], mine: Sequence[Entry], now: datetime, rules: TrustRules) -> list[bool | None]:
    """For each flag whether it was right: a clinician's last word, else what the counts say."""
    verdicts = {e.refers: e.says["verdict"] == "confirmed" for e in entries if e.kind == Entered.VERDICT}
    flags = [entry for entry in mine if entry.kind == Entered.FLAG and is_earned(entry.says)]
    threshold = next((e.says["threshold"] for e in reversed(mine) if e.kind == Entered.FORECAST and e.body), None)
    counts = _counts(entries, threshold)
    return [verdicts.get(flag.number, _flag_came(flag, counts, now, rules)) for flag in flags]


def _flag_came(flag: Entry, counts: Sequence[Counted], now: datetime, rules: TrustRules) -> bool | None:
    """By the counts; only a flag that foretells a low count within a time can be judged by them."""
    says = flag.says
    if says["horizon"] is None or says["probability"] is None:
        return None
    begin = datetime.fromisoformat(says["time"])
    end = begin + timedelta(seconds=says["horizon"])
    return came(counts, begin, end, now, int(rules.value("resolving", "counts")))


def _counts(entries: Iterable[Entry], threshold: float | None) -> list[Counted]:
    if threshold is None:
        return []
    found = [entry.says for entry in entries if entry.kind == Entered.COUNT]
    return [Counted(datetime.fromisoformat(says["time"]), _is_low(says, threshold)) for says in found]


def _is_low(says: Mapping[str, Any], threshold: float) -> bool:
    return bool(says["value"] <= threshold if says["sign"] else says["value"] < threshold)


def _foretold(
    entries: Sequence[Entry], forecasts: Sequence[Entry], now: datetime, rules: TrustRules
) -> list[tuple[float, bool]]:
    """The first probability of each day with what came, where that is known."""
    daily = {entry.at.date(): entry.says for entry in reversed(forecasts) if entry.body is not None}
    enough, said = int(rules.value("resolving", "counts")), []
    for entry in forecasts:
        says = daily.pop(entry.at.date(), None)
        if says is not None:
            counts = _counts(entries, says["threshold"])
            happened = came(counts, entry.at, datetime.fromisoformat(says["until"]), now, enough)
            said += [] if happened is None else [(float(says["probability"]), happened)]
    return said


def _reliability(said: Iterable[tuple[float, bool]]) -> tuple[tuple[int, float, int], ...]:
    bins = [[0, 0.0, 0] for _ in range(BINS)]
    for probability, happened in said:
        place = bins[min(int(probability * BINS), BINS - 1)]
        place[0] += 1
        place[1] += probability
        place[2] += happened
    return tuple((int(n), float(p), int(k)) for n, p, k in bins)
