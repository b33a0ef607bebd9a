"""The whole demonstration: set the stage, play the course, write the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_twin.rehearsal import NextCycle
from edge_twin.store import Store
from edge_twin_app.demonstration import stage as scene
from edge_twin_app.demonstration.patient import BODY_SURFACE_M2, next_dose
from edge_twin_app.rehearsing import timed_rehearsal
from edge_twin_app.report.page import write_page
from edge_twin_app.report.pictures import draw_all
from edge_twin_app.report.summary import Outcome, summarise


def demonstrate(folder: Path, broker: tuple[str, int] | None, *, quiet: bool) -> tuple[dict[str, Any], Path]:
    """Run the demonstration and write ``summary.json`` and ``report.html``.

    Args:
        folder: of the output; an interrupted run in it is continued.
        broker: host and port instead of the embedded broker.
        quiet: no progress bar.

    Returns:
        The summary and the path of the page.
    """
    stage = scene.prepare(folder, broker)
    with scene.peers(stage, broker):
        outcome = scene.run_course(stage, quiet=quiet)
    summary, page = _report(stage, outcome)
    scene.finish(stage)
    return summary, page


def _report(stage: scene.Stage, outcome: Outcome) -> tuple[dict[str, Any], Path]:
    planned = NextCycle(next_dose(), BODY_SURFACE_M2)
    rehearsal = timed_rehearsal(outcome.given, outcome.output, planned)
    store = Store(stage.store)
    try:
        summary = summarise(store, stage.central, outcome, rehearsal)
        pictures = draw_all(store, rehearsal.options, stage.folder / "pictures")
    finally:
        store.close()
    (stage.folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary, write_page(summary, pictures, stage.folder / "report.html")
