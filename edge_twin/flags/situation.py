"""What the rules look at, and the phrases that they share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from edge_twin import codes
from edge_twin.care import CareContext
from edge_twin.contract import Dose, Forecast, TwinInput
from edge_twin.features import Feature
from edge_twin.flag import Bound, Evidence
from edge_twin.observation import Observation
from edge_twin.wording import Message, say


@dataclass(frozen=True)
class Situation:
    """Everything a rule may look at; all of it is true at ``given.now``."""

    given: TwinInput
    zone: ZoneInfo
    observations: tuple[Observation, ...]
    doses: tuple[Dose, ...]
    features: tuple[Feature, ...]
    forecast: Forecast | None

    @property
    def now(self) -> datetime:
        """The moment of the answer."""
        return self.given.now

    @property
    def care(self) -> CareContext:
        """What the clinic knows about the patient."""
        return self.given.care

    def has(self, table: str) -> bool:
        """Whether the program names a rule pack with this table; a rule without its thresholds is silent."""
        return table in self.given.program.thresholds

    def threshold(self, table: str, name: str) -> float:
        """A threshold of the program."""
        return self.given.program.threshold(table, name)

    def span(self, table: str, name: str) -> timedelta:
        """A threshold that is a length of time; the unit is the last word of its name."""
        return timedelta(**{name.rsplit("_", 1)[1]: self.threshold(table, name)})

    def readings(self, code: codes.Code) -> Iterator[Observation]:
        """Usable readings of one kind, oldest first."""
        return (o for o in self.of(code) if o.is_usable)

    def of(self, code: codes.Code) -> tuple[Observation, ...]:
        """Readings of one kind of any quality, oldest first."""
        return self._by_code.get(code.name, ())

    @cached_property
    def memo(self) -> dict[str, Any]:
        """What one rule worked out and another needs, by name; it lives as long as the situation."""
        return {}

    @cached_property
    def _by_code(self) -> dict[str, tuple[Observation, ...]]:
        kinds: dict[str, list[Observation]] = {}
        for observation in self.observations:
            kinds.setdefault(observation.code.name, []).append(observation)
        return {name: tuple(readings) for name, readings in kinds.items()}

    def newest(self, code: codes.Code) -> Observation | None:
        """The newest usable reading of one kind."""
        return max(self.readings(code), key=lambda o: (o.time, o.id), default=None)

    def bound(self, table: str, name: str) -> Bound:
        """A threshold of the program as what decided a flag."""
        rule = self.given.program.thresholds[table][name]
        return Bound(f"{table}.{name}", rule.value, rule.mark, rule.source)

    def local(self, moment: datetime) -> datetime:
        """The moment in the patient's time zone, as messages take it."""
        return moment.astimezone(self.zone)

    def latest_count(self) -> Observation | None:
        """The newest usable value of the program's count."""
        return self.newest(self.given.program.count.code)

    def fresh_count(self) -> Observation | None:
        """The newest count if it is young enough to stand for today."""
        latest = self.latest_count()
        if latest is None or self.now - latest.time > self.span("fever", "count_fresh_hours"):
            return None
        return latest


def evidence(reading: Observation) -> Evidence:
    """A reading as the evidence of a flag."""
    return Evidence(reading.code.name, reading.value, reading.code.unit, reading.time, reading.origin)


def is_below(count: Observation, threshold: float) -> bool:
    """Whether a count is known to be below; one reported as "less than" is, up to the threshold itself."""
    return count.value < threshold or bool(count.limit_sign and count.value <= threshold)


def out_of_100(probability: float) -> Message:
    """A probability as a natural frequency; never "0 of 100" or "100 of 100", which would claim certainty."""
    return say("common.out_of_100", number=min(max(round(100 * probability), 1), 99))
