"""Flags: signals for a person, each with an action, a reason, a time and the values behind it.

A rule is a function of a :class:`Situation` that yields flags. Its module is loaded when there is something for it to
look at: a phone that has only blood counts never loads the rules on glucose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

from edge_twin import codes
from edge_twin.features import NIGHT_HEART_RATE
from edge_twin.flag import Flag
from edge_twin.flags.counts import forecast_flags, measured_flags, mismatch_flags
from edge_twin.flags.on_demand import on_demand_flags
from edge_twin.flags.situation import Situation

Rule = Callable[[Situation], Iterator[Flag]]
"""What raises flags; the one interface of all detectors."""

_VITAL_SIGNS = (
    codes.RESPIRATORY_RATE,
    codes.OXYGEN_SATURATION,
    codes.OXYGEN_FLOW,
    codes.SYSTOLIC_PRESSURE,
    codes.PULSE_RATE,
    codes.PULSE_RATE_CUFF,
    codes.HEART_RATE,
    codes.CONSCIOUSNESS,
    codes.BODY_TEMPERATURE,
)
_LABORATORY = (
    codes.NEUTROPHILS,
    codes.PLATELETS,
    codes.HAEMOGLOBIN,
    codes.LYMPHOCYTES,
    codes.CREATININE,
    codes.CREATININE_MOLAR,
)
_GLUCOSE = (
    codes.GLUCOSE_CAPILLARY,
    codes.GLUCOSE_CAPILLARY_MOLAR,
    codes.GLUCOSE_BLOOD,
    codes.GLUCOSE_BLOOD_MOLAR,
    codes.GLUCOSE_PLASMA,
    codes.GLUCOSE_PLASMA_MOLAR,
    codes.GLUCOSE_INTERSTITIAL,
    codes.GLUCOSE_INTERSTITIAL_MOLAR,
)


def _on(place: str, *needs: codes.Code) -> Rule:
    """A rule that is loaded when a reading of one of these kinds is there; with none named, when anything is.

    Args:
        place: module in this package and name of the function, joined by a dot.
        needs: kinds of readings without which the rule has nothing to say.
    """
    module, name = place.split(".")

    def rule(situation: Situation) -> Iterator[Flag]:
        wanted = any(situation.of(code) for code in needs) if needs else _is_anything_known(situation)
        if wanted:
            found: Rule = getattr(import_module(f"edge_twin.flags.{module}"), name)
            yield from found(situation)

    return rule


def _is_anything_known(situation: Situation) -> bool:
    return bool(situation.given.observations or situation.observations or situation.features)


def _after_cell_therapy(situation: Situation) -> Iterator[Flag]:
    """Holds without a reading too: a missing one is a signal."""
    if situation.care.cell_therapy:
        from edge_twin.flags.cell_therapy import cell_therapy_flags  # noqa: PLC0415 - most patients never load it

        yield from cell_therapy_flags(situation)


def _change_from_baseline(situation: Situation) -> Iterator[Flag]:
    """The detector of changes over days, loaded with the first night of heart rates."""
    if any(feature.name == NIGHT_HEART_RATE for feature in situation.features):
        from edge_twin.flags.baseline_change import baseline_change_flags  # noqa: PLC0415 - see above

        yield from baseline_change_flags(situation)


_RULES: tuple[Rule, ...] = (
    _on("fever.fever_flags", codes.BODY_TEMPERATURE),
    _after_cell_therapy,
    _on("opioid.opioid_flags", codes.RESPIRATORY_RATE, codes.OXYGEN_SATURATION),
    _on("sepsis.sepsis_flags", codes.RESPIRATORY_RATE, codes.SYSTOLIC_PRESSURE, codes.CONSCIOUSNESS),
    _on("news2.news2_flags", *_VITAL_SIGNS),
    on_demand_flags,
    measured_flags,
    _on("laboratory.laboratory_flags", *_LABORATORY),
    forecast_flags,
    _on("metabolic.glucose_flags", *_GLUCOSE),
    _on("dehydration.dehydration_flags", codes.DIARY_STOOLS, codes.BODY_WEIGHT, codes.SYSTOLIC_PRESSURE),
    _on("metabolic.qtc_flags", codes.QTC_INTERVAL, codes.QTC_INTERVAL_FRIDERICIA),
    _on("resting_heart_rate.heart_rate_flags"),
    _on("metabolic.weight_flags", codes.BODY_WEIGHT),
    _change_from_baseline,
    mismatch_flags,
    _on("data_quality.data_quality_flags"),
)


def raise_flags(situation: Situation) -> tuple[Flag, ...]:
    """All flags that hold in this situation, most urgent rule first."""
    return tuple(flag for rule in _RULES for flag in rule(situation))


__all__ = ["Rule", "Situation", "raise_flags"]
