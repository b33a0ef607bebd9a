"""The reliability picture: what was said against what happened, and how often each was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from edge_twin_app.errors import AppError
from edge_twin_app.evaluation.calibration import BINS, RESAMPLES, Pairs, reliability_table
from edge_twin_app.report.pictures import ACCENT, BAND, INK, WARN

ACROSS = 3  # panels side by side
_SHOWN = 0.995  # share of the probabilities that the axes reach
_WIDTH, _HEIGHT = 3.9, 4.6  # inches of a panel with its counts


def reliability_figure(sets: Sequence[Pairs], seed: int = 1, resamples: int = RESAMPLES) -> Figure:
    """One panel for each probability, the counts of its values under it.

    Dots are bins of equal mass with 95 % bootstrap intervals over subjects; the dashed line is perfect calibration, the
    dotted one says the mean for everybody.
    """
    rows, across = -(-len(sets) // ACROSS), min(len(sets), ACROSS)
    figure = Figure(figsize=(_WIDTH * across, _HEIGHT * rows), layout="constrained")
    axes = figure.subplots(2 * rows, across, squeeze=False, height_ratios=[3.2, 1] * rows)
    for number, pairs in enumerate(sets):
        row, column = divmod(number, across)
        table = reliability_table(pairs, seed, resamples)
        top = _end(pairs, table)
        _curve(axes[2 * row][column], pairs, table, top)
        _counts(axes[2 * row + 1][column], pairs, top)
    for number in range(len(sets), rows * across):
        row, column = divmod(number, across)
        for panel in (axes[2 * row][column], axes[2 * row + 1][column]):
            panel.set_axis_off()
    return figure


def _curve(panel: Axes, pairs: Pairs, table: Sequence[Mapping[str, float]], top: float) -> None:
    said, share, low, high = (
        np.array([row[key] for row in table])
        for key in ("mean_probability", "share_happened", "share_low", "share_high")
    )
    base = float(pairs.happened.mean())
    panel.plot([0, top], [0, top], "--", color=INK, lw=1, label="perfect")
    panel.axhline(base, color=WARN, lw=1, ls=":", label=f"mean {base:.3f}")
    panel.vlines(said, low, high, color=BAND, lw=2.5)
    panel.plot(said, share, "o-", color=ACCENT, ms=4, lw=1.2)
    panel.set(xlim=(0, 1.02 * top), ylim=(-0.01 * top, 1.02 * top), ylabel="happened")
    ece = pairs.bins().measures()["ece"]
    panel.set_title(f"{pairs.name}\nECE {ece:.3f}, {pairs.probability.size} pairs", fontsize=9, color=INK)
    panel.legend(loc="upper left", fontsize=7, frameon=False)
    panel.spines[["top", "right"]].set_visible(False)


def _counts(panel: Axes, pairs: Pairs, top: float) -> None:
    beyond = int((pairs.probability > top).sum())
    label = f"probability said ({beyond} beyond)" if beyond else "probability said"
    panel.hist(pairs.probability, bins=list(np.linspace(0, top, 2 * BINS + 1)), color=ACCENT)
    panel.set(xlim=(0, 1.02 * top), yscale="log", xlabel=label, ylabel="pairs")
    panel.set_ylim(bottom=0.7)
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.spines[["top", "right"]].set_visible(False)


def _end(pairs: Pairs, table: Sequence[Mapping[str, float]]) -> float:
    """Where both axes end: beyond every interval and nearly all probabilities."""
    most = float(np.quantile(pairs.probability, _SHOWN))
    return min(1.0, 1.05 * max(most, *(max(row["share_high"], row["mean_probability"]) for row in table), 0.02))


def save_reliability(sets: Sequence[Pairs], path: Path, seed: int = 1, resamples: int = RESAMPLES) -> Path:
    """Draw into a file whose ending names the format.

    Raises:
        AppError: ``unwritable``; ``bad_pairs`` without any set.
    """
    if not sets:
        raise AppError("no probability to draw", reason="bad_pairs")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        reliability_figure(sets, seed, resamples).savefig(path, dpi=130)
    except (OSError, ValueError) as error:
        raise AppError(f"{path} cannot be drawn: {error}", reason="unwritable") from error
    return path
