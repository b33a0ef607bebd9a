# ruff: noqa: INP001 - a script beside the packages
"""A patient's twin in a dozen lines: ``python examples/patient_twin.py``."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from edge_twin import Dose, NextCycle, PatientTwin, load_program, open_bundle
from edge_twin_models import bundle_path

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def main() -> None:
    """Two counts, a forecast, and what the next cycle would do."""
    dose = Dose(START, "docetaxel", 150.0, timedelta(hours=1))
    now = START + timedelta(days=7, hours=1)
    twin = PatientTwin(open_bundle(bundle_path("neutropenia")), load_program("neutropenia")).given(dose)
    twin = twin.counted(5.2, START).counted(0.6, START + timedelta(days=7))
    lines = list(twin.explain(now))
    planned = NextCycle(replace(dose, time=START + timedelta(days=21)), body_surface_m2=2.0)
    lines.extend(
        f"{option.title}: lowest count {option.nadir_median:.2f}, limited by {', '.join(option.most_limiting)}"
        for option in twin.rehearse(planned, now)
    )
    lines.append(f"saved state: {len(twin.save(now))} bytes")
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
