"""Courses of equal cycles: the dosing that an event-aligned student knows, and its warped time.

A network with one dose and one interval as inputs can only represent equal cycles, each with the same
administrations at the same days (docetaxel: one; cytarabine: six). Whether a list of doses is such a
course is therefore decided exactly (to the clock's resolution) and never by rounding.

Time is warped so that every cycle fills the same share of the grid: in warped time the curves of
different intervals look alike, and a few basis functions describe them (in calendar time the kinks of
different intervals do not align). The way back to calendar days is a cubic interpolation whose weights
depend on the schedule alone; they are applied to the basis once, not to every member. The days on which
a cycle's administrations fall do not stretch with the interval: that part of a cycle keeps calendar time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_twin.exposure import DoseEvent
from edge_twin.manifest import Reader

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ONCE = (0.0,)
"""Administrations of a cycle with a single dose: days after the start of the cycle."""
CLOCK_SLACK_DAYS = 1e-10  # starts are differences of clock times in float days, true to a microsecond
_STENCIL = 4  # nodes of the cubic


@dataclass(frozen=True, slots=True)
class Course:
    """Equal cycles at equal intervals.

    Attributes:
        start_day: of the first dose, on the caller's axis.
        cycles: number of cycles.
        interval_days: between starts of cycles; None for a single cycle.
        amount_mg: of each administration.
        infusion_days: of each administration.
        offsets_days: administrations of a cycle, days after its start, the first 0.
    """

    start_day: float
    cycles: int
    interval_days: float | None
    amount_mg: float
    infusion_days: float
    offsets_days: tuple[float, ...] = ONCE


def equal_course(doses: Sequence[DoseEvent], offsets_days: tuple[float, ...] = ONCE) -> Course | None:
    """The doses as a course, or None when a dose, an infusion, a cycle or an interval differs from the others.

    Args:
        doses: in any order.
        offsets_days: administrations of a cycle, see ``Course``.
    """
    ordered = sorted(doses, key=lambda dose: dose.start_day)
    if not ordered or len(ordered) % len(offsets_days):
        return None
    first, starts = ordered[0], [dose.start_day for dose in ordered[:: len(offsets_days)]]
    planned = [start + offset for start in starts for offset in offsets_days]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    same_dose = all(d.amount_mg == first.amount_mg and _close(d.infusion_days, first.infusion_days) for d in ordered)
    in_place = all(_close(dose.start_day, day) for dose, day in zip(ordered, planned, strict=True))
    if not (same_dose and in_place and all(_close(gap, gaps[0]) for gap in gaps)):
        return None
    interval = gaps[0] if gaps else None
    return Course(first.start_day, len(starts), interval, first.amount_mg, first.infusion_days, offsets_days)


def _close(value: float, other: float) -> bool:
    return abs(value - other) <= CLOCK_SLACK_DAYS


@dataclass(frozen=True, slots=True)
class WarpedGrid:
    """Nodes aligned with the doses.

    Attributes:
        cycles: number of cycles of the full course.
        points_per_cycle: even nodes in each cycle.
        tail_points: nodes after the last cycle, denser at its beginning.
        tail_power: exponent of that grading.
        horizon_days: the last node.
        dosing_days: part of each cycle that keeps calendar time; 0 when the whole cycle stretches.
        dosing_points: nodes of the cycle in that part.
    """

    cycles: int
    points_per_cycle: int
    tail_points: int
    tail_power: float
    horizon_days: float
    dosing_days: float = 0.0
    dosing_points: int = 0

    @classmethod
    def from_json(cls, item: Reader) -> Self:
        """From a manifest.

        Raises:
            BundleError: ``malformed``.
        """
        return cls(
            item.whole("cycles"),
            item.whole("points_per_cycle"),
            item.whole("tail_points"),
            item.number("tail_power", above=0.0),
            item.number("horizon_days", above=0.0),
            item.number("dosing_days", above=0.0) if "dosing_days" in item.content else 0.0,
            item.whole("dosing_points") if "dosing_points" in item.content else 0,
        )

    def as_json(self) -> dict[str, float | int]:
        """For a manifest; a part that does not stretch only where there is one."""
        left_out = () if self.dosing_points else ("dosing_days", "dosing_points")
        return {name: value for name, value in asdict(self).items() if name not in left_out}

    @property
    def size(self) -> int:
        """Number of nodes."""
        return self.cycles * self.points_per_cycle + 1 + self.tail_points

    def node_days(self, interval_days: float) -> Floats:
        """[size] days after the first dose, strictly increasing."""
        course = self.cycles * interval_days
        inside = self._cycle_nodes(interval_days)
        share = np.arange(1.0, self.tail_points + 1.0) / self.tail_points
        return np.concatenate((inside, course + (self.horizon_days - course) * share**self.tail_power))

    def _cycle_nodes(self, interval_days: float) -> Floats:
        """Days of the nodes from the first dose to the end of the last cycle."""
        course = self.cycles * interval_days
        if not self.dosing_points:
            return np.linspace(0.0, course, self.cycles * self.points_per_cycle + 1)
        dosing = np.linspace(0.0, self.dosing_days, self.dosing_points, endpoint=False)
        rest = np.linspace(self.dosing_days, interval_days, self.points_per_cycle - self.dosing_points, endpoint=False)
        starts = interval_days * np.arange(self.cycles)[:, None]
        return np.append((starts + np.concatenate((dosing, rest))).ravel(), course)

    def covered_until(self, course: Course) -> float:
        """Days after the first dose up to which a curve of the full course equals that of ``course``.

        A shorter course is the same up to the moment of the first dose that it leaves out, and not after.
        """
        if course.cycles > self.cycles or course.interval_days is None:
            return -math.inf
        if course.cycles == self.cycles:
            return self.horizon_days
        return course.cycles * course.interval_days

    def calendar(self, values: Floats, interval_days: float, days: Floats) -> Floats:
        """Curves on the warped nodes at calendar days, by the cubic through the four nearest nodes.

        Args:
            values: [size, k], one column for each curve.
            interval_days: of the course.
            days: [t] days after the first dose, inside [0, horizon].

        Returns:
            [t, k].
        """
        nearest, weights = cubic_weights(self.node_days(interval_days), days)
        curves = np.zeros((len(days), values.shape[1]))
        for place in range(_STENCIL):
            curves += weights[:, place, None] * values[nearest[:, place]]
        return curves


def cubic_weights(nodes: Floats, days: Floats) -> tuple[Integers, Floats]:
    """Lagrange weights of the cubic through the four nodes around each day.

    Args:
        nodes: [g] strictly increasing, at least four.
        days: [t].

    Returns:
        (indices [t, 4], weights [t, 4]); each row of weights sums to one.
    """
    first = np.clip(np.searchsorted(nodes, days, side="right") - 2, 0, len(nodes) - _STENCIL)
    nearest = first[:, None] + np.arange(_STENCIL)
    at = nodes[nearest]
    weights = np.ones(at.shape)
    for own in range(_STENCIL):
        for other in range(_STENCIL):
            if own != other:
                weights[:, own] *= (days - at[:, other]) / (at[:, own] - at[:, other])
    return nearest, weights
