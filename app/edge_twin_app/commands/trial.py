"""``edge-twin trial aml``: personalised cytarabine schedules against the standard one, on simulated patients."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from edge_twin.jsonform import plain
from edge_twin.program import Program, load_program
from edge_twin_app.models import ENGINES, load_model

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers

SEED = 20490  # of the reported table; never used while the candidates were chosen
_COLUMNS = (
    ("arm", 23, "{arm}"),
    ("avoided", 10, "{avoided_first_cohort}/{patients}"),
    ("mean (sd)", 13, "{mean}"),
    ("possible", 10, "{possible}"),
    ("nadir", 8, "{nadir_median:.2f}"),
    ("effect", 8, "{effect_share_mean:.2f}"),
    ("blasts", 8, "x {blasts:.1f}"),
    ("delay d", 9, "{start_delay_mean_days:.1f}"),
)


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("trial", help="virtual cohorts comparing designs")
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    aml = kinds.add_parser("aml", help="start and division of a cytarabine cycle chosen for each patient (docs/twins)")
    aml.add_argument("--variability", type=_factors, default=(0.5, 1.0, 2.0), metavar="0.5,1,2",
                     help="factors on the assumed between-patient variances")  # fmt: skip
    aml.add_argument("--patients", type=_whole, default=13, help="in a cohort, all low under the standard cycle")
    aml.add_argument("--cohorts", type=_whole, default=1, help="more of them show the sampling error")
    aml.add_argument("--members", type=_whole, default=200, help="of each patient's ensemble")
    aml.add_argument("--grams", type=_factor, default=1.0, help="g/m2 of one administration of the usual cycle")
    aml.add_argument("--seed", type=int, default=SEED, help="of patients, counts and ensembles")
    aml.add_argument("--engine", choices=ENGINES, default="numpy", help="numpy, the reference, unless named")
    aml.add_argument("--candidates", action="store_true",
                     help="instead: what each start and division does, with the patients' truth known")  # fmt: skip
    aml.add_argument("--json", action="store_true", help="rows as JSON instead of the table")
    aml.add_argument("--out", type=Path, help="folder for a picture (needs the extra 'demo')")
    aml.set_defaults(run=run)


def _factor(text: str) -> float:
    value = float(text)
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def _factors(text: str) -> tuple[float, ...]:
    return tuple(_factor(part) for part in text.split(","))


def _whole(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Simulate, print, draw."""
    program = load_program("aml")
    if options.candidates:
        return _tell_candidates(program, options)
    started = time.perf_counter()
    document = {**trial_document(program, options), "elapsed_s": plain(time.perf_counter() - started)}
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n" if options.json else _text(document))
    if options.out:
        _draw(document["rows"], options.out, quiet=options.json)
    return 0


def _tell_candidates(program: Program, options: argparse.Namespace) -> int:
    from edge_twin_models.aml_trial import AmlTrial, Design  # noqa: PLC0415 - the teacher needs scipy

    design = Design(options.patients, options.members, options.grams)
    trial = AmlTrial(load_model(program.bundle, options.engine), program, design)
    rows = [row for variability in options.variability for row in trial.candidates(variability, options.seed)]
    plain_rows = [{name: plain(value) for name, value in row.items()} for row in rows]
    document = json.dumps({"rows": plain_rows, "seed": options.seed}, indent=1) + "\n"
    sys.stdout.write(document if options.json else _candidate_table(rows))
    return 0


def _candidate_table(rows: Sequence[dict[str, Any]]) -> str:
    head = f"{'variances':<11}{'division':<26}{'delay d':<9}{'avoided':<9}{'nadir':<8}{'at last dose':<14}"
    lines = [f"{head}{'effect':<8}limits"]
    for row in rows:
        kept = "kept" if not row["limits_broken"] else "; ".join(row["limits_broken"])
        lines.append(
            f"x {row['variability']:<9g}{row['split']:<26}{row['delay_days']:<9g}{row['avoided_share']:<9.2f}"
            f"{row['nadir_median']:<8.2f}{row['count_on_last_dose_day_median']:<14.2f}{row['effect_share']:<8.2f}{kept}"
        )
    return "\n".join(
        [*lines, f"Shares of {rows[0]['patients']} or so patients whom the standard cycle brings low.", ""]
    )


def trial_document(program: Program, options: argparse.Namespace) -> dict[str, Any]:
    """The trial as JSON values: rows, what is assumed, what was published."""
    from edge_twin_models import aml_trial  # noqa: PLC0415 - the teacher needs scipy

    model = load_model(program.bundle, options.engine)
    design = aml_trial.Design(options.patients, options.members, options.grams)
    trial = aml_trial.AmlTrial(model, program, design)
    pairs = [(variability, number) for variability in options.variability for number in range(options.cohorts)]
    cohorts: dict[float, list[aml_trial.Cohort]] = {variability: [] for variability in options.variability}
    for variability, number in tqdm(pairs, unit="cohort", file=sys.stderr, disable=len(pairs) == 1):
        cohorts[variability].append(trial.cohort(variability, options.seed, number))
    rows = [row for v, found in cohorts.items() for row in aml_trial.arm_rows(found, v, program.low_threshold)]
    return {
        "rows": [{name: plain(value) for name, value in row.items()} for row in rows],
        "published": {"avoided": aml_trial.PUBLISHED_AVOIDED, "patients": aml_trial.PUBLISHED_PATIENTS},
        "assumed": list(aml_trial.ASSUMED),
        "threshold_10_9_per_l": program.low_threshold,
        "grams_per_m2": options.grams,
        "members": options.members,
        "seed": options.seed,
        "model": model.id,
        "engine": model.engine_name,
    }


def _text(document: dict[str, Any]) -> str:
    published = document["published"]
    event = f"Leukopenia avoided (nadir >= {document['threshold_10_9_per_l']:g}) at equal total dose"
    lines = [f"{event}; published {published['avoided']}/{published['patients']}; all patients simulated."]
    factors = dict.fromkeys(row["variability"] for row in document["rows"])
    for factor in factors:
        rows = [row for row in document["rows"] if row["variability"] == factor]
        lines += ["", f"assumed variances x {factor:g}, {rows[0]['cohorts']} cohort(s)", *_block(rows)]
    notes = [
        "avoided: first cohort; possible: share that any candidate could serve, truth known; effect: drug effect as a",
        "share of the standard's; blasts: median factor over the followed time by the same model; delay: of the start.",
        "Assumed:",
        *(f"  - {text}" for text in document["assumed"]),
    ]
    return "\n".join([*lines, "", *notes, ""])


def _block(rows: Sequence[dict[str, Any]]) -> list[str]:
    head = "".join(f"{name:<{wide}}" for name, wide, _ in _COLUMNS) + "most frequent division"
    return [head, *(_line(row) for row in rows)]


def _line(row: dict[str, Any]) -> str:
    spread = "" if row["avoided_sd"] is None else f" ({row['avoided_sd']:.1f})"
    possible = "-" if row["possible_share"] is None else f"{row['possible_share']:.2f}"
    values = {
        **row,
        "mean": f"{row['avoided_mean']:.1f}{spread}",
        "possible": possible,
        "blasts": math.exp(row["blast_log_change_median"]),
    }
    cells = "".join(f"{form.format(**values):<{wide}}" for _, wide, form in _COLUMNS)
    return f"{cells}{row['most_frequent_split']} ({row['most_frequent_split_share']:.0%})"


def _draw(rows: Sequence[dict[str, Any]], folder: Path, *, quiet: bool) -> None:
    from edge_twin_app.report.pictures import save  # noqa: PLC0415 - matplotlib only when asked for
    from edge_twin_app.report.trial_picture import trial_figure  # noqa: PLC0415 - as above

    folder.mkdir(parents=True, exist_ok=True)
    path = save(trial_figure(rows), folder / "trial_aml.png")
    (sys.stderr if quiet else sys.stdout).write(f"picture: {path}\n")
