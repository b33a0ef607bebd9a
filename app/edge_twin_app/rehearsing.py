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


def timed_rehearsal(
    output: TwinOutput, program: Program, given: tuple[Dose, ...], planned: NextCycle, model: ReducedModel
) -> Rehearsal:
    """Rehearse the next cycle on the ensemble of a step; no options without an ensemble."""
    if output.posterior is None:
        return Rehearsal((), 0.0, 0)
    ensemble = output.posterior.log_parameters
    started = time.perf_counter()
    options = rehearse(model, ensemble, given, planned, program)
    return Rehearsal(options, 1000.0 * (time.perf_counter() - started), ensemble.shape[0])


def option_row(option: Rehearsed) -> dict[str, Any]:
    """One rehearsed option as JSON values, without its curve."""
    names: Sequence[str] = (
        "option", "title", "dose_time", "amount_mg", "p_anc_below_0_5", "nadir_median", "nadir_lower", "nadir_upper",
        "days_below_0_5", "anc_on_dose_day", "allowed", "limits_broken",
        "most_limiting", "rank", "engines", "handed_over", "surrogate_log_half_width",
    )  # fmt: skip
    return {name: plain(getattr(option, name)) for name in names}
