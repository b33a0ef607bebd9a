"""Which blood count a program watches, and the names of its low event: data, so that no rule knows a disease.

An event probability carries its threshold in its name (``p_anc_below_0_5``, ``p_wbc_below_1_0``), never a grade,
since the limits of grades differ by version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edge_twin import codes
from edge_twin.wording import Message, say


class WindowStart(StrEnum):
    """From when the days of the forecast window are counted."""

    NOW = "now"
    LAST_DOSE = "last_dose"  # with the length of a cycle: "in this cycle"


@dataclass(frozen=True, slots=True)
class CountRule:
    """The table ``[count]`` of a program.

    Attributes:
        code: of the observation that is assimilated and forecast.
        label: of its cells, plural, as a sentence says it.
        short: of its cells, as names say it; the program's threshold is ``<short>_threshold_10_9_per_l``.
        measured_flag, forecast_flag: kinds of the flags that its low values raise.
        window_from: see :class:`WindowStart`.
        fever_threshold: name in the table ``fever`` below which a fresh count is called low.
    """

    code: codes.Code
    label: str
    short: str
    measured_flag: str
    forecast_flag: str
    window_from: WindowStart
    fever_threshold: str

    @property
    def threshold_name(self) -> str:
        """Name of the threshold in the program's table ``forecast``."""
        return f"{self.short}_threshold_10_9_per_l"


NEUTROPHIL_RULE = CountRule(
    code=codes.NEUTROPHILS,
    label="neutrophils",
    short="anc",
    measured_flag="anc_below_0_5_measured",
    forecast_flag="anc_below_0_5_within_7_days",
    window_from=WindowStart.NOW,
    fever_threshold="neutropenia_10_9_per_l",
)
"""The rule of a program that names none, as programs did before they could."""


def read_rule(row: Mapping[str, Any] | None) -> CountRule:
    """The rule that a program's table ``[count]`` states; the neutrophil rule without one.

    Raises:
        ValueError: an unknown code or window.
        KeyError: a missing entry.
    """
    if row is None:
        return NEUTROPHIL_RULE
    code = codes.by_name(row["code"])
    if code is None:
        raise ValueError(f"unknown code {row['code']!r}")
    names = ("label", "short", "measured_flag", "forecast_flag", "fever_threshold")
    return CountRule(code=code, window_from=WindowStart(row["window_from"]), **{name: str(row[name]) for name in names})


@dataclass(frozen=True, slots=True)
class LowCount:
    """A count below a threshold as an event: how sentences and JSON call it.

    Attributes:
        label: see :class:`CountRule`.
        short: see :class:`CountRule`.
        threshold: 10*9/L.
        period: when it may happen, as a sentence ends: "within 7 days".
    """

    label: str
    short: str
    threshold: float
    period: str

    @property
    def probability_name(self) -> str:
        """Key of its probability, e.g. ``p_anc_below_0_5``."""
        return f"p_{self.short}_below_{self._number}"

    @property
    def days_name(self) -> str:
        """Key of the days spent in it, e.g. ``days_below_0_5``."""
        return f"days_below_{self._number}"

    @property
    def dose_day_name(self) -> str:
        """Key of the count on the day of a dose, e.g. ``anc_on_dose_day``."""
        return f"{self.short}_on_dose_day"

    @property
    def text(self) -> str:
        """The event without its period: "neutrophils below 0.5 ×10⁹/L"."""
        return f"{self.label} below {self.threshold:g} ×10⁹/L"

    @property
    def said(self) -> Message:
        """The event without its period, as a message."""
        return say("counts.event", label=self.label, threshold=self.threshold)

    @property
    def _number(self) -> str:
        return repr(float(self.threshold)).replace(".", "_")


NEUTROPENIA = LowCount("neutrophils", "anc", 0.5, "within 7 days")
"""The event that the names ``p_anc_below_0_5`` and ``days_below_0_5`` belong to."""


def checked_for(event: LowCount, name: str) -> None:
    """Refuse a name that states another event than the one at hand.

    Raises:
        AttributeError: ``name`` belongs to neutrophils below 0.5, and ``event`` is another one.
    """
    if (event.short, event.threshold) != (NEUTROPENIA.short, NEUTROPENIA.threshold):
        raise AttributeError(f"{name} belongs to {NEUTROPENIA.text}; this is about {event.text}")
