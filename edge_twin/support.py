"""Drugs that are given beside a bundle's own one, such as filgrastim: delivery into the serum, and limits.

A bundle lists them as ``further_drugs``; each adds one column to the steps of its engine: what enters
the serum during the step. A dose that names no drug is of the bundle's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_twin.errors import BundleError
from edge_twin.exposure import MICROSECONDS_PER_DAY, DoseEvent
from edge_twin.manifest import Reader

Floats = NDArray[np.float64]

WINDOW_DAYS = 21.0
CLOCK_SLACK = 1e-10  # days; starts are differences of clock times in float days, true to a microsecond
NANOGRAMS_PER_MILLIGRAM = 1e6


@dataclass(frozen=True, slots=True)
class SubcutaneousDrug:
    """Injections under the skin: first-order from a depot through one transit stage into the serum.

    All of a dose arrives, and an injection takes no time.

    Attributes:
        name: lower-case generic name.
        depot_per_day, transit_per_day: rate constants, 1/d; they differ.
        volume_l: of distribution, L.
        max_amount_mg: of one injection.
        max_amount_21_days_mg: sum within any 21 days.
        min_interval_days: between the starts of two injections.
    """

    name: str
    depot_per_day: float
    transit_per_day: float
    volume_l: float
    max_amount_mg: float
    max_amount_21_days_mg: float
    min_interval_days: float

    def entered(self, days: Floats) -> Floats:
        """ng/L of serum that 1 mg has delivered until ``days`` after its injection (0 before it)."""
        time = np.maximum(days, 0.0)
        slow, fast = self.depot_per_day, self.transit_per_day
        share = 1.0 - (fast * np.exp(-slow * time) - slow * np.exp(-fast * time)) / (fast - slow)
        return np.asarray(NANOGRAMS_PER_MILLIGRAM / self.volume_l * share)

    def outside(self, doses: Sequence[DoseEvent]) -> tuple[str, ...]:
        """What of this drug's ``doses`` exceeds its limits, as stable words ending in the drug's name."""
        checks = {
            "dose_amount": all(0.0 <= dose.amount_mg <= self.max_amount_mg for dose in doses),
            "infusion_length": all(dose.infusion_days == 0.0 for dose in doses),
            "dose_interval": closest(doses) >= self.min_interval_days - CLOCK_SLACK,
            "dose_density": densest(doses) <= self.max_amount_21_days_mg,
        }
        return tuple(f"{word}:{self.name}" for word, kept in checks.items() if not kept)


def read_further_drugs(document: Reader) -> tuple[SubcutaneousDrug, ...]:
    """The manifest's ``further_drugs``; none when the key is absent.

    Raises:
        BundleError: ``malformed``, also for a drug that is there twice or is the bundle's own.
    """
    rows = document.children("further_drugs") if "further_drugs" in document.content else ()
    drugs = tuple(_drug(row) for row in rows)
    names = [document.text("drug"), *(drug.name for drug in drugs)]
    if len(set(names)) != len(names):
        raise BundleError("further_drugs names a drug twice", reason="malformed")
    return drugs


def _drug(row: Reader) -> SubcutaneousDrug:
    row.choice("route", ("subcutaneous",))
    row.choice("mark", ("P", "C", "U", "A"))
    row.text("source")
    limits = ("max_amount_mg", "max_amount_21_days_mg", "min_interval_days")
    drug = SubcutaneousDrug(
        row.text("name"),
        *(row.number(key, above=0.0) for key in ("depot_per_day", "transit_per_day", "volume_l")),
        *(row.number(key, low=0.0) for key in limits),
    )
    if drug.depot_per_day == drug.transit_per_day:
        raise BundleError("depot_per_day and transit_per_day must differ", reason="malformed")
    return drug


def own_doses(drug: str, doses: Sequence[DoseEvent]) -> list[DoseEvent]:
    """The doses of ``drug`` and those that name none."""
    return [dose for dose in doses if dose.drug in {"", drug}]


def marked(doses: Sequence[DoseEvent], drug: str) -> list[DoseEvent]:
    """The doses of ``drug`` in full and, as amounts of nothing, the moments of all others: nodes for the grid."""
    return [dose if dose.drug in {"", drug} else replace(dose, amount_mg=0.0, infusion_days=0.0) for dose in doses]


def delivered(drugs: Sequence[SubcutaneousDrug], doses: Sequence[DoseEvent], node_days: Floats) -> Floats:
    """What enters the serum during each step, ng/L, shape [k, drugs]."""
    columns = list(_entering(drugs, doses, node_days))
    return np.column_stack(columns) if columns else np.empty((len(node_days) - 1, 0))


def _entering(drugs: Sequence[SubcutaneousDrug], doses: Sequence[DoseEvent], node_days: Floats) -> Iterator[Floats]:
    for drug in drugs:
        total = np.zeros(len(node_days))
        for dose in doses:
            if dose.drug == drug.name:
                # Whole microseconds, as in the grid: moving every time by the same amount changes no bit.
                ticks = np.rint((node_days - dose.start_day) * MICROSECONDS_PER_DAY)
                total += dose.amount_mg * drug.entered(ticks / MICROSECONDS_PER_DAY)
        yield np.diff(total)


def closest(doses: Sequence[DoseEvent]) -> float:
    """Smallest number of days between two starts; infinite when there are fewer than two."""
    starts = sorted(dose.start_day for dose in doses)
    return min((later - earlier for earlier, later in pairwise(starts)), default=float("inf"))


def densest(doses: Sequence[DoseEvent]) -> float:
    """Largest sum in mg of the doses that start within 21 days up to some dose."""
    window = WINDOW_DAYS - CLOCK_SLACK
    sums = (sum(d.amount_mg for d in doses if 0.0 <= last.start_day - d.start_day < window) for last in doses)
    return max(sums, default=0.0)
