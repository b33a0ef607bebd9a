"""A threshold with its probes: the form of the rows in the tables of boundary tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_twin import codes
from edge_twin.flag import Flag, Urgency
from edge_twin.observation import Observation
from edge_twin.program import Program
from tests.rule_bench import ADULT, flags, found, reading

Given = dict[str, Any]
NONE, NOW_, TODAY, WEEK = None, Urgency.NOW, Urgency.TODAY, Urgency.THIS_WEEK
COMPLETE = replace(ADULT, medicines_complete=True)


@dataclass(frozen=True)
class Row:
    """One threshold: a patient made from a probe, and what each probe must raise.

    Attributes:
        table, name: of the threshold.
        key: of the flag that is looked for.
        make: a probe's value as keyword arguments and readings of a step.
        probes: values with the urgency that is expected; None for no flag.
        see: what of the flag is compared; its urgency unless stated.
    """

    table: str
    name: str
    key: str
    make: Callable[[float], Given]
    probes: Sequence[tuple[float, object]]
    see: Callable[[Flag], object] = lambda flag: flag.urgency

    def outcome(self, value: float, program: Program | None = None) -> object:
        given = self.make(value)
        raised = flags(*given.pop("readings", ()), program=program, **given)
        flag = found(self.key, raised)
        return None if flag is None else self.see(flag)


def r(code: codes.Code, minutes_ago: float = 1.0, **more: Any) -> Callable[[float], Given]:  # noqa: ANN401 - passed on
    """A reading whose value is the probe."""
    return lambda value: {"readings": (reading(code, value, minutes_ago, **more),)}


def with_(*others: Observation, code: codes.Code, **given: Any) -> Callable[[float], Given]:  # noqa: ANN401 - passed on
    return lambda value: {"readings": (*others, reading(code, value)), **given}


def aged(make: Callable[[float], Observation], **given: Any) -> Callable[[float], Given]:  # noqa: ANN401 - passed on
    return lambda value: {"readings": (make(value),), **given}
