"""``edge-twin evaluate probabilities``: is what the software says as likely as it says? On simulated people."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from edge_twin_app.errors import AppError

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers
    from edge_twin_app.evaluation.calibration import Pairs
    from edge_twin_app.evaluation.forecast_calibration import Found

MISMATCH_LEVELS = (0.01, 0.05, 0.1, 0.5)
FEWEST, FEWEST_RESAMPLES = 10, 100
FORECASTS, ONSETS = "forecasts", "onsets"
_COLUMNS = ("ece", "brier", "reliability", "resolution", "uncertainty", "within_bins")


def add_to(kinds: Subparsers) -> None:
    """Declare the command beside the other kinds of evaluation."""
    parser = kinds.add_parser("probabilities", help="calibration on simulated people (docs/calibration.md)")
    parser.add_argument("--patients", type=int, default=200, help="virtual patients of each program")
    parser.add_argument("--subjects", type=int, default=260, help="people of each simulated wearable cohort")
    parser.add_argument("--seed", type=int, default=5001, help="of people, laboratory and bootstrap")
    parser.add_argument("--bootstrap", type=int, default=1000, metavar="N", help="resamples of patients or subjects")
    parser.add_argument("--only", choices=(FORECASTS, ONSETS), help="one part; forecasts take most of the time")
    parser.add_argument("--json", action="store_true", help="rows as JSON instead of the tables")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for reliability.png and reliability.json")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Simulate, forecast, count and print.

    Raises:
        AppError: ``bad_option``, ``unwritable``.
    """
    if min(options.patients, options.subjects) < FEWEST or options.bootstrap < FEWEST_RESAMPLES or options.seed < 0:
        raise AppError(
            f"at least {FEWEST} patients and subjects, {FEWEST_RESAMPLES} resamples, and no negative seed",
            reason="bad_option",
        )
    named = _studies(options) if options.only != ONSETS else {}
    sets = [found.pairs for found in named.values()] + (_onsets(options) if options.only != FORECASTS else [])
    document = _document(named, sets, (options.seed, options.bootstrap))
    if options.out is not None:
        _save(sets, options.out, (options.seed, options.bootstrap))
    sys.stdout.write(json.dumps(document, indent=1) + "\n" if options.json else _text(document))
    return 0


def _studies(options: argparse.Namespace) -> dict[str, Found]:
    from edge_twin_app.evaluation.forecast_calibration import COURSES, cohorts, study  # noqa: PLC0415 - only when asked for

    found = {}
    for course in COURSES:
        for kind in cohorts(course):
            with _bar(f"{course.program}, {kind}", options.patients) as tick:
                result = study(course, kind, options.patients, options.seed, tick.update)
            found[result.pairs.name] = result
    return found


def _onsets(options: argparse.Namespace) -> list[Pairs]:
    from edge_twin_app.evaluation.onset_calibration import detector_pairs  # noqa: PLC0415 - only when asked for
    from edge_twin_models.cohorts import GENERATORS  # noqa: PLC0415 - as above

    sets: list[Pairs] = []
    for generator in GENERATORS:
        with _bar(f"detector, {generator}", 2 * options.subjects) as tick:
            sets += detector_pairs(generator, options.subjects, options.seed, tick.update)
    return sets


def _bar(title: str, total: int) -> Any:  # noqa: ANN401 - tqdm's own type is generic over what it wraps
    return tqdm(desc=title, total=total, file=sys.stderr, disable=None)


def _document(named: dict[str, Found], sets: list[Pairs], draws: tuple[int, int]) -> dict[str, Any]:
    from edge_twin_app.evaluation.calibration import below_levels, coverage, summary  # noqa: PLC0415 - as above

    return {
        "probabilities": [summary(pairs, *draws) for pairs in sets],
        "intervals_of_the_next_count": [coverage(found.ranks, *draws) for found in named.values()],
        "p_mismatch": [below_levels(name, found.p_mismatch, MISMATCH_LEVELS) for name, found in named.items()],
    }


def _save(sets: list[Pairs], folder: Path, draws: tuple[int, int]) -> None:
    from edge_twin_app.evaluation.calibration import reliability_table  # noqa: PLC0415 - as above
    from edge_twin_app.evaluation.calibration_picture import save_reliability  # noqa: PLC0415 - matplotlib

    picture = save_reliability(sets, folder / "reliability.png", *draws)
    tables = {pairs.name: reliability_table(pairs, *draws) for pairs in sets}
    try:
        (folder / "reliability.json").write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise AppError(f"{folder} cannot be written: {error}", reason="unwritable") from error
    sys.stderr.write(f"picture: {picture}\n")


def _text(document: dict[str, Any]) -> str:
    lines = [f"{'probability':<42}{'pairs':>7}{'events':>8}" + "".join(f"{name:>25}" for name in _COLUMNS)]
    for row in document["probabilities"]:
        cells = (f"{row[name]:.4f} ({row[name + '_low']:.4f}-{row[name + '_high']:.4f})" for name in _COLUMNS)
        lines.append(
            f"{row['probability']:<42}{row['pairs']:>7}{row['events']:>8}" + "".join(f"{cell:>25}" for cell in cells)
        )
        lines.append(_chance_line(row))
    lines += [_coverage_line(row) for row in document["intervals_of_the_next_count"]]
    lines += [
        f"p_mismatch, {row['p_value']}: "
        + ", ".join(f"{row[_key(level)]:.3f} at or below {level:g}" for level in MISMATCH_LEVELS)
        for row in document["p_mismatch"]
    ]
    return "\n".join([*lines, ""])


def _chance_line(row: dict[str, Any]) -> str:
    said = f"said {row['mean_probability']:.4f} on average, happened {row['share_happened']:.4f}"
    chance = f"{row['ece_chance']:.4f} (if days depend on each other {row['ece_chance_dependent']:.4f})"
    return f"    {said}; chance alone gives an ECE up to {chance}"


def _key(level: float) -> str:
    return f"share_at_most_{level:g}".replace(".", "_")


def _coverage_line(row: dict[str, Any]) -> str:
    told = (
        f"{level} % covers {row[f'coverage_{level}']:.3f} "
        f"({row[f'coverage_{level}_low']:.3f}-{row[f'coverage_{level}_high']:.3f})"
        for level in (50, 80, 95)
    )
    return f"next count, {row['forecast']}: " + ", ".join(told)
