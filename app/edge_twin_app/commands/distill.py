"""``edge-twin distill NAME``: teacher to student to certificate to signed archive."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_twin.release import SUFFIX
from edge_twin.signing import SigningKey
from edge_twin_models import development_key

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("distill", help="distil a teacher into a bundle (needs the extra 'distill')")
    parser.add_argument("name", help="of the teacher: neutropenia or aml; glioma-field, resistance")
    parser.add_argument(
        "--method",
        default="course",
        help="mechanistic (graph), course (equal cycles) or cycle (any schedule); field of glioma-field, "
        "distribution of resistance",
    )
    parser.add_argument("--out", type=Path, help="archive to write; out/ID.etb when absent")
    parser.add_argument("--key", type=Path, help="signing key of the site; the DEVELOPMENT key when absent")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="local processes for teacher runs")
    parser.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster instead of local processes")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Distil, check the result and say where it is."""
    from edge_twin_models.design import runners  # noqa: PLC0415 - scipy only for this command
    from edge_twin_models.methods import distill, named_method, named_teacher  # noqa: PLC0415 - as above

    key = SigningKey.load(options.key) if options.key else development_key()
    teacher = named_teacher(options.name)
    with runners(options.workers, options.dask) as executor:
        method = named_method(options.method, executor)
        archive = options.out or Path("out") / f"{teacher.name}{method.suffix}{SUFFIX}"
        distill(teacher, method, archive, key)
    sys.stdout.write(f"bundle written to {archive}, signed by {key.name}\n")
    return 0
