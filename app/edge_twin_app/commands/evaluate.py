"""``edge-twin evaluate counts CSV``: a hospital's own table scored, nothing of it kept."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_twin.errors import CaseError
from edge_twin.program import load_program
from edge_twin_app.commands import evaluate_cohort, evaluate_detector, evaluate_probabilities
from edge_twin_app.count_table import PatientRows, read_counts
from edge_twin_app.models import ENGINES, load_models
from edge_twin_app.scoring import METHODS, Scorer, metrics, summarised

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers

FILGRASTIM = "filgrastim"

Floats = NDArray[np.float64]


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("evaluate", help="forecasts and intervals scored on a data set")
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    evaluate_cohort.add_to(kinds)
    counts = kinds.add_parser("counts", help="a table of counts and doses (docs/formats.md)")
    counts.add_argument(
        "table", type=Path, help="CSV: patient, day, anc or wbc, dose, infusion_minutes; filgrastim_mg where given"
    )
    counts.add_argument("--program", default="neutropenia", help="disease program whose bundle forecasts")
    counts.add_argument("--engine", choices=ENGINES, help="the fastest one that answers right unless named")
    counts.add_argument("--members", type=int, default=500, help="members of each ensemble")
    counts.add_argument("--seed", type=int, default=1, help="of ensembles and bootstrap")
    counts.add_argument("--json", action="store_true", help="rows as JSON instead of the table")
    counts.set_defaults(run=run)
    evaluate_detector.add_to(kinds)
    evaluate_probabilities.add_to(kinds)


def run(options: argparse.Namespace) -> int:
    """Score and print."""
    program = load_program(options.program)
    models, names = load_models(program, options.engine), metrics(program.low_count())
    scorer = Scorer(models, program, options.members, options.seed)
    scored = list(_scored(scorer, read_counts(options.table, program.count.short).values()))
    if not scored:
        raise CaseError("no patient has two counts", reason="too_little_data")
    rows = [summarised(m, [patient.scores[m] for patient in scored], options.seed, names) for m in METHODS]
    groups = [_group(scored, names, gcsf=gcsf) for gcsf in (False, True) if any(p.on_gcsf == gcsf for p in scored)]
    document = {
        "rows": rows,
        "model": models[0].id,
        "models": [model.id for model in models],
        **_overall(scored, names),
        "groups": groups,
    }
    sys.stdout.write(json.dumps(document, indent=1) + "\n" if options.json else _table(rows, names, groups))
    return 0


class _Scored(NamedTuple):
    """One patient's scores [counts, metrics] by method."""

    scores: dict[str, Floats]
    flagged: bool
    on_gcsf: bool


def _scored(scorer: Scorer, patients: Collection[PatientRows]) -> Iterator[_Scored]:
    """Every patient with at least two counts."""
    for patient in tqdm(patients, unit="patient", file=sys.stderr):
        found = list(scorer.scores(patient))
        if found:
            scores = {method: np.array([values for name, values in found if name == method]) for method in METHODS}
            yield _Scored(scores, scorer.mismatch(patient), FILGRASTIM in patient.further_drugs)


def _overall(scored: list[_Scored], names: tuple[str, ...]) -> dict[str, float | int]:
    """What the twin did, over all counts and patients."""
    twin = np.concatenate([patient.scores["twin"] for patient in scored])
    coverage, width = (float(twin[:, names.index(name)].mean()) for name in ("coverage_95", "log_width_95"))
    return {
        "coverage_95": coverage,
        "log_width_95": width,
        "share_mismatch": float(np.mean([patient.flagged for patient in scored])),
        "patients": len(scored),
        "patients_on_gcsf": sum(patient.on_gcsf for patient in scored),
    }


def _group(scored: list[_Scored], names: tuple[str, ...], *, gcsf: bool) -> dict[str, float | int | bool]:
    return {"on_gcsf": gcsf, **_overall([patient for patient in scored if patient.on_gcsf == gcsf], names)}


def _table(
    rows: list[dict[str, float | int | str]], names: tuple[str, ...], groups: list[dict[str, float | int | bool]]
) -> str:
    lines = [f"{'method':<8}" + "".join(f"{name:>32}" for name in names)]
    for row in rows:
        cells = (f"{row[name]:.3f} ({row[name + '_low']:.3f}-{row[name + '_high']:.3f})" for name in names)
        lines.append(f"{row['method']:<8}" + "".join(f"{cell:>32}" for cell in cells))
    lines += [
        f"{'with' if group['on_gcsf'] else 'without'} G-CSF: {group['patients']} patients, 95 % interval covers "
        f"{group['coverage_95']:.1%} (log width {group['log_width_95']:.2f}), mismatch flags "
        f"{group['share_mismatch']:.1%}"
        for group in groups
    ]
    return "\n".join([*lines, f"{rows[0]['counts']} counts of {rows[0]['patients']} patients", ""])
