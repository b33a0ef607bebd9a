"""Flags: signals for a person, each with an action, a reason, a time and the values behind it."""

from __future__ import annotations

from edge_twin.flag import Flag
from edge_twin.flags.cell_therapy import cell_therapy_flags
from edge_twin.flags.counts import forecast_flags, measured_flags, mismatch_flags
from edge_twin.flags.data_quality import data_quality_flags
from edge_twin.flags.dehydration import dehydration_flags
from edge_twin.flags.fever import fever_flags
from edge_twin.flags.laboratory import laboratory_flags
from edge_twin.flags.metabolic import glucose_flags, qtc_flags, weight_flags
from edge_twin.flags.news2 import news2_flags
from edge_twin.flags.on_demand import on_demand_flags
from edge_twin.flags.opioid import opioid_flags
from edge_twin.flags.resting_heart_rate import heart_rate_flags
from edge_twin.flags.sepsis import sepsis_flags
from edge_twin.flags.situation import Situation

_RULES = (
    fever_flags,
    cell_therapy_flags,
    opioid_flags,
    sepsis_flags,
    news2_flags,
    on_demand_flags,
    measured_flags,
    laboratory_flags,
    forecast_flags,
    glucose_flags,
    dehydration_flags,
    qtc_flags,
    heart_rate_flags,
    weight_flags,
    mismatch_flags,
    data_quality_flags,
)


def raise_flags(situation: Situation) -> tuple[Flag, ...]:
    """All flags that hold in this situation, most urgent rule first."""
    return tuple(flag for rule in _RULES for flag in rule(situation))


__all__ = ["Situation", "raise_flags"]
