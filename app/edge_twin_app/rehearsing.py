"""Rehearsing with a stop-watch, and a rehearsed option as JSON values."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_twin.contract import Dose, TwinOutput
from edge_twin.jsonform import plain
from edge_twin.program import Program
from edge_twin.reduced_model import ReducedModel
from edge_twin.rehearsal import NextCycle, Rehearsed, rehearse


@dataclass(frozen=True)
class Rehearsal:
    """The options and how long all of them took together, with median and interval."""

    options: tuple[Rehearsed, ...]
    elapsed_ms: float
    members: int


def timed_rehearsal(  # noqa: PLR0913 - the ingredients of a rehearsal, and how far to look
    output: TwinOutput,
    program: Program,
    given: tuple[Dose, ...],
    planned: NextCycle,
    model: ReducedModel,
    *,
    followed_days: float | None = None,
) -> Rehearsal:
    """Rehearse the next cycle on the ensemble of a step; no options without an ensemble."""
    if output.posterior is None:
        return Rehearsal((), 0.0, 0)
    ensemble = output.posterior.log_parameters
    started = time.perf_counter()
    options = rehearse(model, ensemble, given, planned, program, followed_days=followed_days)
    return Rehearsal(options, 1000.0 * (time.perf_counter() - started), ensemble.shape[0])


def option_row(option: Rehearsed) -> dict[str, Any]:
    """One rehearsed option as JSON values, without its curve; keys name the program's count and threshold."""
    before: Sequence[str] = ("option", "title", "dose_time", "amount_mg", "administrations")
    after: Sequence[str] = ("allowed", "limits_broken", "most_limiting", "rank", "days_to_recovery", "effect_share")
    row: dict[str, Any] = {
        **{name: getattr(option, name) for name in before},
        option.event.probability_name: option.p_below,
        **{name: getattr(option, name) for name in ("nadir_median", "nadir_lower", "nadir_upper")},
        option.event.days_name: option.days_below,
        option.event.dose_day_name: option.count_on_dose_day,
        **{name: getattr(option, name) for name in after},
    }
    return {name: plain(value) for name, value in row.items()}
