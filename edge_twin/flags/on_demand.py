"""Rules that are loaded when a reading that they judge is there: on a phone, code that nobody needs costs memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

from edge_twin import codes
from edge_twin.flag import Flag
from edge_twin.flags.situation import Situation


@dataclass(frozen=True, slots=True)
class OnDemand:
    """A rule by name.

    Attributes:
        tables: of thresholds; the program has to have one of them.
        judged: codes of readings; without any of them the rule has nothing to say.
        module, function: where it stands, below ``edge_twin.flags``.
    """

    tables: tuple[str, ...]
    judged: tuple[codes.Code, ...]
    module: str
    function: str

    def applies(self, situation: Situation, seen: frozenset[codes.Code]) -> bool:
        """Whether the program has the rule and the patient a reading for it."""
        known = situation.given.program.thresholds
        return any(table in known for table in self.tables) and not seen.isdisjoint(self.judged)

    def load(self) -> Callable[[Situation], Iterator[Flag]]:
        """The rule itself."""
        rule: Callable[[Situation], Iterator[Flag]] = getattr(
            import_module(f"edge_twin.flags.{self.module}"), self.function
        )
        return rule


RULES = (
    OnDemand(("diary_worsening",), codes.DIARY, "symptoms", "symptom_flags"),
    OnDemand(("survey_worsening",), codes.SURVEY, "surveys", "survey_flags"),
    OnDemand(("lung_relapse",), (*codes.DIARY, codes.BODY_WEIGHT), "lung_follow_up", "lung_flags"),
    OnDemand(("ca_125", "psa_pcwg3", "psa_phoenix", "cea", "ctdna"), codes.MARKERS, "biomarkers", "biomarker_flags"),
    OnDemand(("recist", "rano"), codes.MARKERS, "imaging", "imaging_flags"),
)


def on_demand_flags(situation: Situation) -> Iterator[Flag]:
    """What these rules find, in the order in which they stand."""
    seen = frozenset(reading.code for reading in situation.observations)
    for rule in RULES:
        if rule.applies(situation, seen):
            yield from rule.load()(situation)
