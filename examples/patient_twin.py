# ruff: noqa: INP001 - a script beside the packages
"""A patient's twin from the first dose to a saved state: ``python examples/patient_twin.py``."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from edge_twin import Dose, NextCycle, PatientTwin, load_program, open_bundle, restore
from edge_twin_models import bundle_path

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def main() -> None:
    """Two cycles and three counts, on the mechanistic model and on its learned student."""
    # Open a bundle: verified, on the fastest engine that reproduces its golden vectors. A program brings the limits.
    model, program = open_bundle(bundle_path("neutropenia")), load_program("neutropenia")

    # Create a twin and tell it what was given and counted. Every operation gives a new twin.
    first = Dose(START, "docetaxel", 150.0, timedelta(hours=1))
    second = replace(first, time=START + timedelta(days=21))
    twin = PatientTwin(model, program).given(first, second)
    twin = twin.counted(5.2, START).counted(0.6, START + timedelta(days=7)).counted(3.9, START + timedelta(days=20))

    # Assimilate and forecast. Without a forecast the refusals say why.
    now = START + timedelta(days=22)
    output = twin.forecast(now)
    if output.forecast is None:
        raise SystemExit(f"refused: {', '.join(output.refusals)}")
    lines = [f"forecast: lowest count {output.forecast.nadir:.2f} on day {output.forecast.nadir_day:g}"]

    # Explain: what the counts taught, whether they fit, who computed it, and every reservation.
    lines.extend(twin.explain(now))

    # Rehearse the next cycle. Information, never a recommendation.
    planned = NextCycle(replace(first, time=START + timedelta(days=42)), body_surface_m2=2.0)
    lines.extend(
        f"{option.title}: lowest count {option.nadir_median:.2f}, limited by {', '.join(option.most_limiting)}"
        for option in twin.rehearse(planned, now)
    )

    # Save, restore, go on: bit for bit the same forecast.
    content = twin.save(now)
    again = PatientTwin.resumed(restore(content), model, program, START)
    same = again.forecast(now).forecast
    identical = same is not None and same.median.tobytes() == output.forecast.median.tobytes()
    lines.append(f"saved state: {len(content)} bytes; the restored twin goes on bit for bit: {identical}")

    # The learned student with the mechanistic model behind it. It knows courses of equal cycles; the reduced dose
    # is not one, so the mechanistic model answers, and the answer says so.
    student = open_bundle(bundle_path("neutropenia-course"), behind=bundle_path("neutropenia"))
    for option in replace(twin, model=student).rehearse(planned, now)[:2]:
        why = f" because of {', '.join(option.handed_over)}" if option.handed_over else ""
        lines.append(f"{option.title}: computed by {', '.join(option.engines)}{why}")
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
