"""Whether a rehearsed regimen keeps the hard limits, and which of them leaves least room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edge_twin.errors import ProgramError
from edge_twin.program import Limit

# What a hard limit can be about, beside the count on the day of the dose.
DOSE_PER_CYCLE = "dose_per_cycle_mg_per_m2"
DOSE_PER_ADMINISTRATION = "dose_per_administration_mg_per_m2"
EFFECT_SHARE = "effect_share"


def broken_limits(limits: Iterable[Limit], values: Mapping[str, float]) -> tuple[str, ...]:
    """Every hard limit that is not kept, with its value and all its reasons.

    Args:
        limits: to be checked.
        values: what each is about, by the limit's id.

    Raises:
        ProgramError: ``unknown_limit`` for a limit that no value is about.
    """
    wanted = tuple(limits)
    if unchecked := {limit.id for limit in wanted} - set(values):
        raise ProgramError(f"nothing checks the limit {min(unchecked)}", reason="unknown_limit")
    return tuple(
        f"{limit.id} {values[limit.id]:.3g} {limit.unit}, {limit.kind.value.replace('_', ' ')} {limit.value:g}: "
        f"{'; '.join(limit.reasons)}"
        for limit in wanted
        if not limit.allows(values[limit.id])
    )


def most_limiting(limits: Iterable[Limit], values: Mapping[str, float]) -> tuple[str, ...]:
    """Ids of the limits that leave least room relative to themselves, all of them on a tie.

    Args:
        limits: of the program.
        values: what each is about, by the limit's id.
    """
    margins = {limit.id: limit.margin(values[limit.id]) for limit in limits}
    least = min(margins.values(), default=0.0)
    return tuple(name for name, margin in margins.items() if margin <= least)
