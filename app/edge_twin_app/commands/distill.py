"""``edge-twin distill NAME``: teacher to student to certificate to bundle directory."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("distill", help="distil a teacher into a bundle (needs the extra 'distill')")
    parser.add_argument("name", help="of the teacher, e.g. neutropenia")
    parser.add_argument("--out", type=Path, default=Path("out/distilled"), help="folder of the bundle")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="local processes for teacher runs")
    parser.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster instead of local processes")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Distil, check the result and say where it is."""
    from edge_twin_models.design import runners  # noqa: PLC0415 - scipy only for this command
    from edge_twin_models.distill import distill  # noqa: PLC0415 - as above

    with runners(options.workers, options.dask) as executor:
        directory = distill(options.name, options.out, executor=executor)
    sys.stdout.write(f"bundle written to {directory}\n")
    return 0
