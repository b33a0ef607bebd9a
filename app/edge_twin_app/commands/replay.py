"""``edge-twin replay CASE.json``: one case through the pure step, canonical JSON out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_twin.case import Case, read_case, replay
from edge_twin.errors import CaseError
from edge_twin.story import tell_case
from edge_twin_app.models import ENGINES, load_models

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "replay", help="one case file through the pure step; the same file gives the same bytes"
    )
    parser.add_argument("case", type=Path, help="case file (docs/formats.md)")
    parser.add_argument("--engine", choices=ENGINES, default="numpy", help="numpy, the reference, unless named")
    parser.add_argument("--life", action="store_true", help="what people see of the flags, step by step")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read, step, print."""
    case = load_case(options.case)
    model, *further = load_models(case.program, options.engine)
    answer = tell_case if options.life else replay
    sys.stdout.buffer.write(answer(case, model, tuple(further)) + b"\n")
    return 0


def load_case(path: Path) -> Case:
    """Read a case file.

    Raises:
        CaseError: ``unreadable``, or as :func:`edge_twin.case.read_case`.
    """
    try:
        return read_case(path.read_bytes())
    except OSError as error:
        raise CaseError(f"cannot read {path}: {error}", reason="unreadable") from error
