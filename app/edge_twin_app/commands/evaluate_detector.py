"""``edge-twin evaluate detector CSV``: our detector beside its peers on a daily table, nothing of it kept."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from edge_twin_app.errors import AppError
from edge_twin_app.evaluation.rules import section

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers
    from edge_twin_app.evaluation.comparison import Comparison, Progress
    from edge_twin_app.evaluation.table import DailyTable


def add_to(kinds: Subparsers) -> None:
    """Declare the command."""
    parser = kinds.add_parser(
        "detector", help="onset of illness in a daily table, beside the peers (docs/detectors.md)"
    )
    parser.add_argument("table", type=Path, help="CSV: subject, day (0 = onset), resting_heart_rate, steps; source ...")
    parser.add_argument("--json", action="store_true", help="one object as JSON instead of the tables")
    parser.add_argument("--scores", type=Path, metavar="OUT.csv", help="write subject, day, score, alert of each row")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the shares against false alerts")
    parser.add_argument(
        "--false-alerts",
        type=float,
        default=section("budget")["false_alerts_per_person_week"],
        metavar="RATE",
        help="per person-week that thresholds are chosen for",
    )
    parser.add_argument(
        "--bootstrap", type=int, default=section("comparison")["resamples"], metavar="N", help="resamples of subjects"
    )
    parser.add_argument("--seed", type=int, default=1, help="of bootstrap and pseudo-onsets")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Score, write, compare and print."""
    from edge_twin_app.evaluation.comparison import Choices, compare, score_ours  # noqa: PLC0415 - only when asked for
    from edge_twin_app.evaluation.scores_file import write_scores  # noqa: PLC0415 - as above
    from edge_twin_app.evaluation.table import read_table  # noqa: PLC0415 - as above

    _check(options)
    table = read_table(options.table)
    with _progress(table) as progress:
        ours = score_ours(table, progress("edge_twin"))
        if options.scores is not None:
            write_scores(options.scores, table, ours)
        found = compare(table, ours, Choices(options.false_alerts, options.bootstrap, options.seed), progress)
    sys.stdout.write(_document(found, table) if options.json else _text(found, table))
    if options.picture is not None:
        from edge_twin_app.evaluation.picture import save_picture  # noqa: PLC0415 - matplotlib only when asked for

        sys.stderr.write(f"picture: {save_picture(found, options.picture)}\n")
    return 0


def _check(options: argparse.Namespace) -> None:
    if not (math.isfinite(options.false_alerts) and options.false_alerts > 0.0):
        raise AppError("--false-alerts must be a number above 0", reason="bad_option")
    if options.bootstrap < section("comparison")["smallest_resamples"]:
        raise AppError(
            f"--bootstrap must be at least {section('comparison')['smallest_resamples']}", reason="bad_option"
        )
    if options.seed < 0:
        raise AppError("--seed must not be negative", reason="bad_option")


@contextmanager
def _progress(table: DailyTable) -> Iterator[Progress]:
    """One bar for all detectors, a step for each subject."""
    with tqdm(unit=" subjects", file=sys.stderr) as bar:

        def begin(name: str) -> Callable[[], object]:
            bar.set_description(name)
            bar.total = (bar.total or 0) + len(table.subjects)
            return bar.update

        yield begin


def _document(found: Comparison, table: DailyTable) -> str:
    quality = asdict(table.quality)
    return json.dumps({"rows": found.rows, **found.scalars, "data_quality": quality}, indent=1) + "\n"


def _text(found: Comparison, table: DailyTable) -> str:
    from edge_twin_app.evaluation.printing import text  # noqa: PLC0415 - with the rest of the evaluation

    return text(found, table.quality)
