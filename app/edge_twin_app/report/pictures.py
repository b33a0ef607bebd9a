"""The pictures of the report, drawn with matplotlib into PNG files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edge_twin import codes
from edge_twin.features import NIGHT_HEART_RATE
from edge_twin.flag import FlagKind
from edge_twin.flags.situation import out_of_100
from edge_twin.rehearsal import Rehearsed
from edge_twin.store import Store

INK, BAND, ACCENT, WARN, GOOD = "#22313f", "#9ec5e8", "#1f5fa8", "#b3261e", "#2e7d32"  # readable in grey as well
LOW_COUNT = 0.5
PANELS = 4
FEW_OPTIONS = 6
_STYLES = ("-", "--", "-.", ":")
_COLORS = (ACCENT, "#c77700", GOOD, WARN, "#7a5195", "#00838f", INK)  # with the styles, 28 curves that differ
SHORTEST_BAR_DAYS = 0.15  # so that a flag of an hour can be seen
_KIND_LABELS = {
    FlagKind.FEVER: "fever under chemotherapy",
    FlagKind.FEVER_REPEAT: "measure again within the hour",
    FlagKind.ORAL_READING_NEEDED: "oral reading needed",
    FlagKind.NEUTROPHILS_LOW: "neutrophils measured below 0.5",
    FlagKind.NEUTROPENIA_FORECAST: "below 0.5 expected within 7 days",
    FlagKind.LEUKOCYTES_LOW: "leukocytes measured below 1",
    FlagKind.LEUKOPENIA_FORECAST: "below 1 expected in this cycle",
    FlagKind.RESTING_HEART_RATE: "resting heart rate above baseline",
    FlagKind.FORECAST_MISMATCH: "counts contradict the forecast",
    FlagKind.BASELINE_CHANGE: "change from the personal baseline",
    FlagKind.EARLY_WARNING_SCORE: "early warning score (NEWS2)",
    FlagKind.SEPSIS_SCREEN: "sepsis screen positive",
    FlagKind.CYTOKINE_RELEASE: "criteria of cytokine release met",
    FlagKind.CHECK_MISSED: "check missed after cell therapy",
    FlagKind.OPIOID_DEPRESSION: "breathing slowed, opioid taken or not known",
    FlagKind.DEHYDRATION: "signs of dehydration",
    FlagKind.WEIGHT_LOSS: "weight loss",
    FlagKind.GLUCOSE_HIGH: "glucose high",
    FlagKind.GLUCOSE_LOW: "glucose low",
    FlagKind.QTC_PROLONGED: "QTc prolonged",
    FlagKind.LABORATORY_VALUE: "laboratory value",
    FlagKind.SYMPTOM_WORSENING: "reported symptoms worse",
    FlagKind.SYMPTOM_RELAPSE: "symptom-based relapse rule",
    FlagKind.BIOMARKER_RISE: "tumour marker rises",
    FlagKind.IMAGING_PROGRESSION: "progression in images",
    FlagKind.DATA_QUALITY: "data quality",
    FlagKind.RUNTIME_STOPPED: "the runtime had stopped",
}
_URGENCY = {"now": WARN, "today": "#c77700", "this_week": ACCENT, "note": INK}


def draw_all(store: Store, options: Sequence[Rehearsed], folder: Path) -> dict[str, Path]:
    """Draw every picture into ``folder``; returns name to file."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "forecast": forecast_figure(store),
        "heart_rate": heart_rate_figure(store),
        "flags": flags_figure(store),
        "rehearsal": rehearsal_figure(options),
    }
    return {name: save(figure, folder / f"{name}.png") for name, figure in figures.items()}


def forecast_figure(store: Store) -> Figure:
    """Forecast bands as they stood when counts arrived: known counts filled, later ones open."""
    chosen = _issues(store)
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    for panel, (made, form) in zip(axes.flat, chosen, strict=False):
        _forecast_panel(panel, made, form, store)
    axes[0, 0].legend(loc="upper right", fontsize=8, framealpha=0.9)
    figure.supylabel("neutrophils, 10⁹/L (log scale)", color=INK)
    figure.supxlabel("days since the dose", color=INK)
    return figure


def _issues(store: Store) -> list[tuple[datetime, dict[str, Any]]]:
    """Four outputs from the first count to the last, each as it stood when its newest count had come."""
    first: dict[int, tuple[datetime, dict[str, Any]]] = {}
    for made, form in store.forecasts():
        if form["forecast"]:
            first.setdefault(form["forecast"]["counts_used"], (made, form["forecast"]))
    numbers = sorted(first)
    places = np.linspace(0, len(numbers) - 1, min(PANELS, len(numbers))).round().astype(int)
    return [first[numbers[place]] for place in places]


def _forecast_panel(panel: Axes, made: datetime, form: dict[str, Any], store: Store) -> None:
    origin = datetime.fromisoformat(form["origin"])
    days = np.array(form["days"])
    panel.fill_between(days, form["lower"], form["upper"], color=BAND, alpha=0.45, lw=0, label="95 %, a measured count")
    panel.fill_between(days, form["state_lower"], form["state_upper"], color=ACCENT, alpha=0.25, lw=0,
                       label="95 %, the patient's count")  # fmt: skip
    panel.plot(days, form["median"], color=ACCENT, lw=1.8, label="median")
    panel.axhline(LOW_COUNT, color=WARN, ls="--", lw=1)
    panel.axvline(_day(made, origin), color=INK, ls=":", lw=1)
    for count in store.observations(code=codes.NEUTROPHILS):
        known = count.time <= made
        panel.plot(_day(count.time, origin), count.value, "o", ms=6, mec=INK, mfc=INK if known else "white")
    panel.set(yscale="log", ylim=(0.04, 30), xlim=(-2, 22))
    panel.set_yticks([0.1, 0.5, 1, 5, 20], ["0.1", "0.5", "1", "5", "20"])
    used = form["counts_used"]
    panel.set_title(f"day {_day(made, origin):.1f}: {used} count{'s' * (used != 1)} known", fontsize=10, color=INK)
    _plain_frame(panel)


def heart_rate_figure(store: Store) -> Figure:
    """Resting heart rate of each night, the personal baseline, and the limit of the rule."""
    nights = [f for f in store.features() if f.name == NIGHT_HEART_RATE and f.value is not None]
    times = _dates(night.end for night in nights)
    values = np.array([night.value for night in nights], dtype=np.float64)
    baseline = np.array([np.median(values[: n + 1].astype(int)) for n in range(values.size)])
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    panel = figure.subplots()
    panel.plot(times, values, "o-", color=ACCENT, ms=5, lw=1, label="resting heart rate of the night")
    panel.step(times, baseline, where="mid", color=INK, lw=1.4, label="personal baseline (median of all nights so far)")
    panel.step(
        times, baseline + 4, where="mid", color=WARN, ls="--", lw=1, label="baseline + 4, two nights in a row: flag"
    )
    panel.set_ylabel("beats per minute", color=INK)
    panel.legend(loc="upper left", fontsize=8)
    _date_axis(panel)
    _plain_frame(panel)
    return figure


def flags_figure(store: Store) -> Figure:
    """Every flag on a time line, with the oral temperatures below."""
    history = store.flags.all()
    kinds = list(dict.fromkeys(life.kind for life in history))
    readings = store.observations(code=codes.BODY_TEMPERATURE)
    last = max(reading.time for reading in readings)
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(max(len(kinds), 1), 2.2))
    for life in history:
        row, end = kinds.index(life.kind), life.closed or last
        start, stop = _dates((life.raised, end))
        color = _URGENCY[life.shown_urgency]
        upper.barh(row, max(stop - start, SHORTEST_BAR_DAYS), left=start, height=0.55, color=color)
    upper.set_yticks(range(len(kinds)), [_KIND_LABELS.get(kind, kind.replace("_", " ")) for kind in kinds], fontsize=8)
    upper.invert_yaxis()
    lower.plot(_dates(r.time for r in readings), [r.value for r in readings], ".-", color=ACCENT, lw=0.8)
    lower.axhline(38.3, color=WARN, ls="--", lw=1)
    lower.axhline(38.0, color=WARN, ls=":", lw=1)
    lower.set_ylabel("oral °C", color=INK)
    _date_axis(lower)
    for panel in (upper, lower):
        _plain_frame(panel)
    return figure


def rehearsal_figure(options: Sequence[Rehearsed]) -> Figure:
    """The next cycle under each option: curves, lowest count and chance of a low count."""
    figure = Figure(figsize=(10, max(4.4, 0.55 * len(options))), layout="constrained")
    if not options:
        return figure
    curves, nadirs = figure.subplots(1, 2, width_ratios=(1.6, 1))
    event = options[0].event
    planned = options[0].days[0]
    for place, option in enumerate(options):
        style, color = _STYLES[place % len(_STYLES)], _COLORS[place % len(_COLORS)]
        curves.plot(option.days - planned, option.median, ls=style, color=color, lw=1.6, label=option.title)
        _nadir(nadirs, place, option, color)
    curves.set(yscale="log", xlabel="days since the planned start", ylabel=f"{event.label}, 10⁹/L (median)")
    curves.set_yticks([0.3, 0.5, 1, 2, 5, 10], ["0.3", "0.5", "1", "2", "5", "10"])
    curves.minorticks_off()
    handles, titles = curves.get_legend_handles_labels()
    columns = 2 if len(options) <= FEW_OPTIONS else 4  # few options have long titles
    figure.legend(handles, titles, fontsize=8, ncols=columns, loc="outside lower center")
    nadirs.set_yticks(range(len(options)), [option.option.replace("_", " ") for option in options], fontsize=8)
    nadirs.margins(x=0.18)  # room for the notes
    nadirs.set(xlabel="lowest count, 10⁹/L (95 % interval)", ylim=(len(options) - 0.4, -0.7))
    curves.axhline(event.threshold, color=WARN, ls="--", lw=1)
    nadirs.axvline(event.threshold, color=WARN, ls="--", lw=1)
    for panel in (curves, nadirs):
        _plain_frame(panel)
    return figure


def _nadir(panel: Axes, place: int, option: Rehearsed, color: str) -> None:
    """Lowest count with its interval and the chance of a low one; an option that breaks a limit is left open."""
    low, high = option.nadir_median - option.nadir_lower, option.nadir_upper - option.nadir_median
    fill = color if option.allowed else "white"
    panel.errorbar(option.nadir_median, place, xerr=[[low], [high]], fmt="o", color=color, mfc=fill, capsize=4)
    kept = "" if option.allowed else ", limit not kept"
    effect = "" if option.effect_share is None else f", effect {100 * option.effect_share:.0f} %"
    chance = f"{out_of_100(option.p_below).text} below {option.event.threshold:g}{effect}{kept}"
    panel.annotate(chance, (option.nadir_median, place), xytext=(0, 8), textcoords="offset points",
                   ha="center", fontsize=7, color=INK,
                   bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip


def _dates(moments: Iterable[datetime]) -> NDArray[np.float64]:
    """Moments as matplotlib's float days."""
    return np.array([mdates.date2num(moment) for moment in moments])  # type: ignore[no-untyped-call]


def _date_axis(panel: Axes) -> None:
    panel.xaxis_date()
    panel.xaxis.set_major_locator(mdates.DayLocator(interval=3))  # type: ignore[no-untyped-call]
    panel.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))  # type: ignore[no-untyped-call]


def _day(moment: datetime, origin: datetime) -> float:
    return (moment - origin) / timedelta(days=1)


def _plain_frame(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(colors=INK, labelsize=8)
    panel.set_axisbelow(True)
    panel.grid(visible=True, axis="y", lw=0.3, color="#c8d0d8")


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG and release it."""
    figure.savefig(path, dpi=130, facecolor="white")
    return path
