"""Rehearsing with a stop-watch, and a rehearsed option as JSON values."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_twin.contract import TwinInput, TwinOutput
from edge_twin.jsonform import plain
from edge_twin.rehearsal import (
    NextCycle,
    RefusedRegimen,
    Rehearsed,
    candidates,
    refused_regimens,
    rehearse_with,
)


@dataclass(frozen=True)
class Rehearsal:
    """What was rehearsed.

    Attributes:
        options: one for each regimen that a model covers.
        elapsed_ms: how long all of them took together, with median and interval.
        members: of each ensemble.
        refused: the regimens that no model covers.
    """

    options: tuple[Rehearsed, ...]
    elapsed_ms: float
    members: int
    refused: tuple[RefusedRegimen, ...] = ()


def timed_rehearsal(
    given: TwinInput, output: TwinOutput, planned: NextCycle, followed_days: float | None = None
) -> Rehearsal:
    """Rehearse the next cycle on the ensembles of a step; no options without an ensemble.

    Args:
        given: input of the step, with its models.
        output: of that step.
        planned: the next dose as planned.
        followed_days: simulated after the first rehearsed dose; the program's when None.

    Raises:
        ProgramError: as ``rehearse_with``.
    """
    refused = refused_regimens(given.models, given.doses, planned, given.program)
    if output.posterior is None:
        return Rehearsal((), 0.0, 0, refused)
    found = candidates(given, output, planned)
    started = time.perf_counter()
    options = rehearse_with(found, given.doses, planned, given.program, seed=given.seed, followed_days=followed_days)
    return Rehearsal(options, 1000.0 * (time.perf_counter() - started), len(output.posterior.log_parameters), refused)


def refused_row(regimen: RefusedRegimen) -> dict[str, Any]:
    """One refused regimen as JSON values."""
    row: dict[str, Any] = plain(regimen._asdict())
    return row


def option_row(option: Rehearsed) -> dict[str, Any]:
    """One rehearsed option as JSON values, without its curve; keys name the program's count and threshold."""
    event = option.event
    values: Mapping[str, Any] = {
        **_named(option, "option", "title", "dose_time", "amount_mg", "administrations"),
        event.probability_name: option.p_below,
        **_named(option, "nadir_median", "nadir_lower", "nadir_upper"),
        event.days_name: option.days_below,
        event.dose_day_name: option.count_on_dose_day,
        **_named(option, "allowed", "limits_broken", "most_limiting", "rank", "days_to_recovery", "effect_share"),
        **_named(option, "engines", "handed_over", "surrogate_log_half_width", "model_id", "support"),
        f"unsupported_{event.probability_name}": option.unsupported_p_below,
        "unsupported_nadir_median": option.unsupported_nadir_median,
    }
    return {name: plain(value) for name, value in values.items()}


def _named(option: Rehearsed, *names: str) -> dict[str, Any]:
    return {name: getattr(option, name) for name in names}
