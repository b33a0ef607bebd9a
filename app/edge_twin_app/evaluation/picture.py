"""The picture: sensitivity and pre-symptomatic share against false alerts, all detectors, with the chance curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edge_twin_app.errors import AppError
from edge_twin_app.evaluation.comparison import MATCHED, Comparison
from edge_twin_app.evaluation.measures import chance
from edge_twin_app.evaluation.ours import OURS
from edge_twin_app.evaluation.rules import Windows, windows
from edge_twin_app.report.pictures import ACCENT, INK, WARN

_COLORS = ("#c77700", "#2e7d32", "#7a5195", "#00838f", "#8d6e63", "#c2185b")
_STYLES = ("-", "--")
_WIDEST = 0.6  # false alerts per person-week: no service would bear more
_DETECTED, _EARLY = 1, 2


def evaluation_figure(found: Comparison) -> Figure:
    """Two panels over false alerts per person-week.

    Lines are in sample, at every threshold; dots are measured on left-out subjects at the target.
    """
    figure, rule = Figure(figsize=(11, 5.4), layout="constrained"), windows()
    panels = zip(
        figure.subplots(1, 2, sharex=True, sharey=True),
        ("sensitivity", "pre_symptomatic_share"),
        (_DETECTED, _EARLY),
        (rule.days_in_window, -rule.window_first_day),
        strict=True,
    )
    for panel, key, column, days in panels:
        _curves(panel, found, column)
        _dots(panel, found, key)
        _chance(panel, days)
        panel.axvline(float(str(found.scalars["fa_target"])), color=INK, lw=0.7, ls=":")
        panel.set(xlim=(0, _WIDEST), ylim=(0, 1), xlabel="false alerts per person-week", ylabel="share of subjects")
        panel.set_title(_title(key, rule), fontsize=10, color=INK)
        panel.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _title(key: str, rule: Windows) -> str:
    if key == "sensitivity":
        return f"alert in days {rule.window_first_day} to +{rule.window_last_day} of onset"
    return f"first alert in days {rule.window_first_day} to -1"


def _look(place: int, name: str) -> dict[str, Any]:
    """Line of a detector: ours thick, the peers by colour and dashes."""
    if name.startswith(OURS):
        return {"color": ACCENT, "ls": "-" if name == OURS else "--", "lw": 2.4, "zorder": 3}
    style = _STYLES[(place // len(_COLORS)) % len(_STYLES)]
    return {"color": _COLORS[place % len(_COLORS)], "ls": style, "lw": 1.1}


def _curves(panel: Axes, found: Comparison, column: int) -> None:
    for place, (name, pooled) in enumerate(found.curves.items()):
        x = pooled.counts[:, 0] / max(found.control_weeks, np.finfo(np.float64).tiny)
        y = pooled.counts[:, column] / max(found.eligible, 1)
        inside = x <= _WIDEST
        panel.plot(x[inside], y[inside], label=name, **_look(place, name))


def _dots(panel: Axes, found: Comparison, key: str) -> None:
    places = {name: place for place, name in enumerate(found.curves)}
    for row in found.rows:
        if row["setting"] == MATCHED and row.get(key) is not None:
            name = str(row["detector"])
            x, y = (float(str(row[column])) for column in ("false_alerts_per_person_week", key))
            look = _look(places[name], name)
            inside = "white" if look["ls"] == "--" else look["color"]
            size = 8 if name == OURS else 5
            panel.plot([x], [y], "o", ms=size, color=look["color"], markerfacecolor=inside, zorder=4)


def _chance(panel: Axes, days: int) -> None:
    x = np.linspace(0.0, _WIDEST, 100)
    panel.plot(x, [chance(value, days) for value in x.tolist()], color=WARN, ls=":", lw=1.5, label="chance")


def save_picture(found: Comparison, path: Path) -> Path:
    """Draw into a file whose ending names the format.

    Raises:
        AppError: ``unwritable``.
    """
    try:
        evaluation_figure(found).savefig(path, dpi=130)
    except (OSError, ValueError) as error:
        raise AppError(f"{path} cannot be drawn: {error}", reason="unwritable") from error
    return path
