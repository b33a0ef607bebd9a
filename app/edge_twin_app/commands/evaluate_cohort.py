"""``edge-twin evaluate cohort``: a simulated wearable cohort as a table that ``evaluate detector`` reads."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_twin.errors import CaseError
from edge_twin_app.errors import AppError

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers


def add_to(kinds: Subparsers) -> None:
    """Declare the command beside the other kinds of evaluation."""
    parser = kinds.add_parser("cohort", help="write a simulated wearable cohort (docs/cohorts.md)")
    parser.add_argument("--generator", default="ar", help="ar or state, which differ in structure")
    parser.add_argument("--subjects", type=int, default=260, help="people simulated; about one in six is not eligible")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same bytes")
    parser.add_argument("--out", type=Path, required=True, metavar="TABLE.csv")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Simulate and write.

    Raises:
        CaseError: ``cohort_not_possible`` - unknown generator, no subject, negative seed.
        AppError: ``unwritable``.
    """
    from edge_twin_models.cohorts import simulate, write_csv  # noqa: PLC0415 - only when asked for

    try:
        table = simulate(options.generator, options.subjects, options.seed)
    except ValueError as error:
        raise CaseError(str(error), reason="cohort_not_possible") from error
    try:
        write_csv(table, options.out)
    except OSError as error:
        raise AppError(f"{options.out} cannot be written: {error}", reason="unwritable") from error
    sys.stdout.write(
        f"{len(table)} days of {len(table.people)} simulated people by {table.generator} ({table.version}, seed "
        f"{table.seed}) in {options.out}\n"
    )
    return 0
