"""``edge-twin evaluate counts CSV``: a hospital's own table scored, nothing of it kept."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from edge_twin.errors import CaseError
from edge_twin.program import load_program
from edge_twin_app.count_table import read_counts
from edge_twin_app.models import ENGINES, load_model
from edge_twin_app.scoring import METHODS, metrics, patient_scores, summarised

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("evaluate", help="forecasts and intervals scored on a data set")
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    counts = kinds.add_parser("counts", help="a table of counts and doses (docs/formats.md)")
    counts.add_argument("table", type=Path, help="CSV: patient, day, anc or wbc, dose, infusion_minutes")
    counts.add_argument("--program", default="neutropenia", help="disease program whose bundle forecasts")
    counts.add_argument("--engine", choices=ENGINES, help="the fastest one that answers right unless named")
    counts.add_argument("--members", type=int, default=500, help="members of each ensemble")
    counts.add_argument("--seed", type=int, default=1, help="of ensembles and bootstrap")
    counts.add_argument("--json", action="store_true", help="rows as JSON instead of the table")
    counts.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Score and print."""
    program = load_program(options.program)
    model, names = load_model(program.bundle, options.engine), metrics(program.low_count())
    scores: dict[str, list[np.ndarray]] = {method: [] for method in METHODS}
    for patient in tqdm(read_counts(options.table, program.count.short).values(), unit="patient", file=sys.stderr):
        found = list(patient_scores(model, patient, options.members, options.seed, program.low_threshold))
        for method in METHODS if found else ():
            scores[method].append(np.array([values for name, values in found if name == method]))
    if not scores["twin"]:
        raise CaseError("no patient has two counts", reason="too_little_data")
    rows = [summarised(method, scores[method], options.seed, names) for method in METHODS]
    sys.stdout.write(
        json.dumps({"rows": rows, "model": model.id}, indent=1) + "\n" if options.json else _table(rows, names)
    )
    return 0


def _table(rows: list[dict[str, float | int | str]], names: tuple[str, ...]) -> str:
    lines = [f"{'method':<8}" + "".join(f"{name:>32}" for name in names)]
    for row in rows:
        cells = (f"{row[name]:.3f} ({row[name + '_low']:.3f}-{row[name + '_high']:.3f})" for name in names)
        lines.append(f"{row['method']:<8}" + "".join(f"{cell:>32}" for cell in cells))
    return "\n".join([*lines, f"{rows[0]['counts']} counts of {rows[0]['patients']} patients", ""])
