"""The equations behind a cycle operator: what its network sees of a patient and a cycle, and in which time it runs.

Friberg: time in mean transit times, in which the equations have the fewest parameters; one dose in a cycle, whose
effect is linear. Jost: time in days, as the administrations of a cycle fall on fixed days; the effect is
logarithmic, so a cycle is described by what it kills and by its highest concentration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle
from edge_twin.concentration import cycle_effect
from edge_twin.course import CLOCK_SLACK_DAYS, ONCE
from edge_twin.cycle_weights import FRIBERG_LAYOUT, JOST_LAYOUT, Layout
from edge_twin.engines.kinds import FRIBERG_TRANSIT, JOST_LEUKOCYTES, KINDS, EngineKind
from edge_twin.engines.numpy_friberg import TRANSIT_RATE_COUNT
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin.manifest import Reader

Floats = NDArray[np.float64]

HOURS_PER_DAY = 24.0


class CycleForm(Protocol):
    """What differs between the equations.

    Attributes:
        layout: inputs and curves.
        offsets_days: administrations of a cycle, days after its start, the first 0.
    """

    layout: Layout
    offsets_days: tuple[float, ...]

    def per_day(self, log_parameters: Floats) -> Floats:
        """[n] units of the curves' time in a day."""

    def treatment(self, log_parameters: Floats, amount_mg: float, infusion_days: float) -> Floats:
        """[n, inputs - states] what the network sees beside the state.

        Args:
            log_parameters: [n, 4].
            amount_mg: of each administration; 0 for a piece without a dose.
            infusion_days: of each administration.
        """

    def represents(self, doses: Sequence[DoseEvent]) -> bool:
        """Whether infusion lengths are those of the training, beyond what the envelope says."""


class FribergCycle:
    """One dose in a cycle; kill is ktr·slope·AUC."""

    layout = FRIBERG_LAYOUT

    def __init__(self, bundle: Bundle, offsets_days: tuple[float, ...]) -> None:
        pk = bundle.pharmacokinetics
        self.offsets_days = offsets_days
        self._exposure_of_1_mg = float(-np.linalg.inv(pk.rate_matrix)[0, 0] / pk.litre_milligrams_per_micromole)

    def per_day(self, log_parameters: Floats) -> Floats:
        """See ``CycleForm.per_day``: 24 h over the mean transit time."""
        return np.asarray(HOURS_PER_DAY * np.exp(-log_parameters[:, 1]))

    def treatment(self, log_parameters: Floats, amount_mg: float, infusion_days: float) -> Floats:
        """See ``CycleForm.treatment``: ln MTT, ln gamma, kill, infusion in transit times."""
        per_day = self.per_day(log_parameters)
        killing = TRANSIT_RATE_COUNT * per_day * np.exp(log_parameters[:, 2]) * self._exposure_of_1_mg * amount_mg
        return np.column_stack((log_parameters[:, [1, 3]], killing, per_day * infusion_days))

    def represents(self, doses: Sequence[DoseEvent]) -> bool:
        """See ``CycleForm.represents``: the infusion is an input."""
        _ = doses
        return True


class JostCycle:
    """Several administrations in a cycle; kill is ktr·slope·∫ln(1 + C)dt."""

    layout = JOST_LAYOUT

    def __init__(self, bundle: Bundle, offsets_days: tuple[float, ...]) -> None:
        self.offsets_days = offsets_days
        self._pk = bundle.pharmacokinetics
        self._infusion_days = Reader(bundle.manifest).child("cycle_operator").number("infusion_days", above=0.0)
        self._effects: dict[float, tuple[float, float]] = {}

    def per_day(self, log_parameters: Floats) -> Floats:
        """See ``CycleForm.per_day``: days."""
        return np.ones(len(log_parameters))

    def treatment(self, log_parameters: Floats, amount_mg: float, infusion_days: float) -> Floats:
        """See ``CycleForm.treatment``: ln ktr, ln gamma, kill, ln(1 + highest concentration)."""
        _ = infusion_days  # the same in every cycle that is represented
        area, peak = self._effect(amount_mg)
        killing = np.exp(log_parameters[:, 1] + log_parameters[:, 2]) * area
        return np.column_stack((log_parameters[:, [1, 3]], killing, np.full(len(killing), peak)))

    def represents(self, doses: Sequence[DoseEvent]) -> bool:
        """See ``CycleForm.represents``: one length of infusion."""
        return all(abs(dose.infusion_days - self._infusion_days) <= CLOCK_SLACK_DAYS for dose in doses)

    def _effect(self, amount_mg: float) -> tuple[float, float]:
        if amount_mg not in self._effects:
            areas, peaks = cycle_effect(self._pk, self.offsets_days, self._infusion_days, np.array([amount_mg]))
            self._effects[amount_mg] = float(areas[0]), float(peaks[0])
        return self._effects[amount_mg]


_FORMS: Mapping[str, type[FribergCycle | JostCycle]] = MappingProxyType(
    {FRIBERG_TRANSIT: FribergCycle, JOST_LEUKOCYTES: JostCycle}
)


def form_of(bundle: Bundle) -> CycleForm:
    """The form that a bundle of a cycle operator names.

    Raises:
        BundleError: ``malformed``.
    """
    spec = Reader(bundle.manifest).child("cycle_operator")
    offsets = spec.matrix("offsets_days")[0] if "offsets_days" in spec.content else list(ONCE)
    if offsets[:1] != [0.0] or bool((np.diff(offsets) <= 0.0).any()):
        raise BundleError("the administrations of a cycle must increase from 0", reason="malformed")
    return _FORMS[equations_of(bundle).name](bundle, tuple(offsets))


def equations_of(bundle: Bundle) -> EngineKind:
    """The mechanistic equations behind a bundle of a cycle operator; Friberg's where it names none.

    Raises:
        BundleError: ``malformed``.
    """
    spec = Reader(bundle.manifest).child("cycle_operator")
    return KINDS[spec.choice("equations", tuple(_FORMS)) if "equations" in spec.content else FRIBERG_TRANSIT]


def cycle_starts(doses: Sequence[DoseEvent], offsets_days: tuple[float, ...]) -> tuple[DoseEvent, ...] | None:
    """The first administration of each cycle, or None when the doses are not whole cycles of equal administrations.

    Args:
        doses: oldest first.
        offsets_days: administrations of a cycle.
    """
    size = len(offsets_days)
    if len(doses) % size:
        return None
    cycles = [doses[first : first + size] for first in range(0, len(doses), size)]
    return tuple(cycle[0] for cycle in cycles) if all(_whole(cycle, offsets_days) for cycle in cycles) else None


def _whole(cycle: Sequence[DoseEvent], offsets_days: tuple[float, ...]) -> bool:
    first = cycle[0]
    return all(
        dose.amount_mg == first.amount_mg
        and dose.infusion_days == first.infusion_days
        and abs(dose.start_day - first.start_day - offset) <= CLOCK_SLACK_DAYS
        for dose, offset in zip(cycle, offsets_days, strict=True)
    )
