"""The HTML page of a run: plain, printable, readable without a network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from edge_twin.flags.situation import out_of_100

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#22313f;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2rem}
img{max-width:100%;height:auto}table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #d5dce3;vertical-align:top}
.note{background:#f2f6fa;border-left:4px solid #1f5fa8;padding:.6rem 1rem}.now{color:#b3261e;font-weight:600}
td.number{text-align:right;font-variant-numeric:tabular-nums}
"""

WHAT_IS_REAL = (
    "Recorded: the heart beats (RR intervals of one person on 24 consecutive days around a real infection, "
    "Welltory/hrv-covid19, CC0; only the hour of day was moved). Simulated: neutrophil counts (from the teacher "
    "model, with the published residual error), temperatures and steps. The interval was not validated on any "
    "patient. A flag is a signal for a person, not a decision; this is a research prototype, not a medical device."
)


def write_page(summary: dict[str, Any], pictures: dict[str, Path], path: Path) -> Path:
    """Write the report; picture links are relative to it."""
    links = {name: picture.relative_to(path.parent).as_posix() for name, picture in pictures.items()}
    path.write_text(_page(summary, links), encoding="utf-8")
    return path


def _page(summary: dict[str, Any], links: dict[str, str]) -> str:
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width,initial-scale=1'>",
        f"<title>edge_twin: 24 days of one patient</title><style>{_STYLE}</style>",
        "<h1>24 days of one patient</h1><p>Docetaxel 75 mg/m² on day 8 of the course.</p>",
        f"<p class='note'>{escape(WHAT_IS_REAL)}</p>",
        "<h2>Flags</h2>",
        _trust(summary["trust"]),
        _flags([flag for flag in summary["flags"] if flag["audience"]]),
        _picture(links, "flags", "Flags on a time line and oral temperatures"),
        "<h2>Neutrophils: forecast and counts as they arrived</h2>", _forecast_line(summary["forecast"]),
        _picture(links, "forecast", "Forecast bands at four moments; filled counts were known, open ones came later"),
        "<h2>Resting heart rate of the night</h2>",
        _picture(links, "heart_rate", "Nightly resting heart rate, personal baseline and limit"),
        "<h2>Rehearsal of the next cycle</h2>", _options(summary),
        _picture(links, "rehearsal", "Median curves and lowest counts of the options"),
        "<h2>Way out and devices</h2>", _facts(summary), "</html>",
    ]  # fmt: skip
    return "\n".join(parts)


def _picture(links: dict[str, str], name: str, alt: str) -> str:
    return f"<p><img src='{escape(links[name])}' alt='{escape(alt)}'></p>"


def _trust(trust: dict[str, Any]) -> str:
    """Which stage is in force and on whose word."""
    signed = ", ".join(f"{row['stage']} signed by {row['signer']}" for row in trust["grants"]) or "no grant"
    basis = " The evidence was counted on virtual patients." if trust["simulated_evidence"] else ""
    return (
        f"<p>What the model says is <b>{escape(trust['stage'])}</b> ({escape(trust['why'].replace('_', ' '))}; "
        f"{escape(signed)}).{basis} Rules on measured values are shown at every stage.</p>"
    )


def _flags(flags: list[dict[str, Any]]) -> str:
    rows = [
        (
            escape(flag["time"]),
            f"<span class='{escape(flag['urgency'])}'>{escape(flag['urgency'])}</span>",
            escape(flag["action"]),
            escape(flag["reason"]),
            escape(_state(flag)),
            escape(flag["whereabouts"]),
        )
        for flag in flags
    ]
    return _table(("raised (UTC)", "urgency", "what to do", "why", "state", "who knows"), rows)


def _state(flag: dict[str, Any]) -> str:
    """Where a flag stands, since when, and through whom."""
    since = f" {flag['withdrawn']}" if flag["withdrawn"] else ""
    by = f" by {flag['superseded_by'] or flag['closed_by'] or flag['acknowledged_by']}".removesuffix(" by ")
    asked = "" if flag["level"] == "patient" else f"; nobody answered, asked: {flag['level']}"
    silent = f"; not told: {flag['silenced'].replace('_', ' ')}" if flag["silenced"] else ""
    return f"{flag['state']}{by}{since}{asked}{silent}"


def _forecast_line(forecast: dict[str, Any] | None) -> str:
    if forecast is None:
        return "<p>No forecast: see the refusals in summary.json.</p>"
    return (
        f"<p>{forecast['counts_inside']} of {forecast['counts_seen']} counts lay inside the 95 % interval that had "
        f"been forecast for them before they arrived; interval: {escape(forecast['interval'])}.</p>"
    )


def _options(summary: dict[str, Any]) -> str:
    rows = [
        (
            escape(option["title"]),
            out_of_100(option["p_anc_below_0_5"]).text,
            f"{option['nadir_median']:.2f} ({option['nadir_lower']:.2f} to {option['nadir_upper']:.2f})",
            f"{option['anc_on_dose_day']:.1f}",
            escape("; ".join(option["limits_broken"]) or "none"),
        )
        for option in summary["rehearsal"]
    ]
    head = ("option", "chance below 0.5 ×10⁹/L", "lowest count (95 %)", "count on dose day", "limits not kept")
    members, elapsed = summary["rehearsal_members"], summary["rehearsal_elapsed_ms"]
    took = f"{members} simulated courses for each option took {elapsed:.0f} ms together."
    notes = "".join(_support_note(option) for option in summary["rehearsal"] if option["support"])
    return f"{_table(head, rows)}{notes}<p>{took} For the clinical team to discuss; nothing here recommends a dose.</p>"


def _support_note(option: dict[str, Any]) -> str:
    """What the support does, within the model that knows it: the rows above come from another one."""
    without = out_of_100(option["unsupported_p_anc_below_0_5"]).text
    return (
        f"<p>{escape(option['title'])}: {escape(option['support'])}. Computed by {escape(option['model_id'])}, which "
        f"without it says {without} and a lowest count of {option['unsupported_nadir_median']:.2f}; compare with that, "
        "not with the other rows.</p>"
    )


def _facts(summary: dict[str, Any]) -> str:
    sync, ble = summary["sync"], summary["ble"]
    rows = [
        ("messages produced / stored at the centre / pending / lost",
         f"{sync['produced']} / {sync['stored']} / {sync['pending']} / {sync['lost']}"),
        ("duplicates removed at the centre", str(sync["duplicates"])),
        ("encrypted bytes a day", str(sync["bytes_per_day"])),
        ("Bluetooth notifications / reconnects / gaps",
         f"{ble['notifications']} / {ble['reconnects']} / {ble['gaps']}"),
        ("model and engine", escape(f"{summary['model']}, {summary['engine']}")),
        ("peak memory of the device process, MB", str(summary["peak_rss_mb"])),
    ]  # fmt: skip
    return _table(("what", "value"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"
