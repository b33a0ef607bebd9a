"""The picture of a simulated trial of schedules: what was avoided, and what it cost in drug effect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edge_twin_app.report.pictures import ACCENT, GOOD, INK, WARN

_COLORS = {"standard": INK, "equal_dose": ACCENT, "equal_dose_and_effect": GOOD}
_LABELS = {
    "standard": "standard: days 1, 3, 5, twice daily",
    "equal_dose": "chosen, equal dose",
    "equal_dose_and_effect": "chosen, equal dose and drug effect",
}
_WIDTH = 0.26


def trial_figure(rows: Sequence[dict[str, Any]]) -> Figure:
    """Share of patients without a low nadir, and blasts at the end, by arm and assumed variability.

    Args:
        rows: as ``edge_twin_models.aml_trial.arm_rows`` gives them.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    avoided, blasts = figure.subplots(1, 2)
    factors = list(dict.fromkeys(row["variability"] for row in rows))
    for place, arm in enumerate(_COLORS):
        chosen = [row for row in rows if row["arm"] == arm]
        shift = np.arange(len(factors)) + (place - 1) * _WIDTH
        patients = chosen[0]["patients"]
        spread = [(row["avoided_sd"] or 0.0) / patients for row in chosen]
        share = [row["avoided_share"] for row in chosen]
        avoided.bar(shift, share, _WIDTH, yerr=spread, color=_COLORS[arm], ecolor=INK, capsize=3, label=_LABELS[arm])
        blasts.bar(shift, [np.exp(row["blast_log_change_median"]) for row in chosen], _WIDTH, color=_COLORS[arm])
    published = rows[0]["published_avoided"] / rows[0]["published_patients"]
    avoided.axhline(published, color=WARN, ls="--", lw=1, label="published, 10 of 13")
    avoided.set(ylim=(0, 1.05), ylabel="share of patients (± sd of a cohort)")
    avoided.set_title("low nadir avoided", fontsize=10, color=INK)
    blasts.axhline(1.0, color=WARN, ls=":", lw=1)
    blasts.set(ylabel="times their number on the planned day (median)")
    blasts.set_title("blasts at the end of the followed time", fontsize=10, color=INK)
    for panel in (avoided, blasts):
        _finish(panel, factors)
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _finish(panel: Axes, factors: Sequence[float]) -> None:
    panel.set_xticks(range(len(factors)), [f"× {factor:g}" for factor in factors])
    panel.set_xlabel("assumed between-patient variances")
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(colors=INK, labelsize=8)
