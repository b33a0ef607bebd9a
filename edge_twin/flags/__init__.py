"""Flags: signals for a person, each with an action, a reason, a time and the values behind it."""

from __future__ import annotations

from edge_twin.flag import Flag
from edge_twin.flags.baseline_change import baseline_change_flags
from edge_twin.flags.counts import forecast_flags, measured_flags, mismatch_flags
from edge_twin.flags.fever import fever_flags
from edge_twin.flags.resting_heart_rate import heart_rate_flags
from edge_twin.flags.situation import Situation

_RULES = (fever_flags, measured_flags, forecast_flags, heart_rate_flags, baseline_change_flags, mismatch_flags)


def raise_flags(situation: Situation) -> tuple[Flag, ...]:
    """All flags that hold in this situation, most urgent rule first."""
    return tuple(flag for rule in _RULES for flag in rule(situation))


__all__ = ["Situation", "raise_flags"]
