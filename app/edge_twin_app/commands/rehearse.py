"""``edge-twin rehearse``: what each allowed way of giving the next cycle would do to this patient."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from edge_twin.case import LARGEST_ENSEMBLE, SMALLEST_ENSEMBLE, Case, read_case
from edge_twin.contract import TwinInput
from edge_twin.errors import CaseError, ProgramError
from edge_twin.flags.situation import out_of_100
from edge_twin.jsonform import plain
from edge_twin.program import program_names
from edge_twin.reduced_model import ReducedModel
from edge_twin.rehearsal import Rehearsed
from edge_twin.twin import advance
from edge_twin_app.commands.replay import load_case
from edge_twin_app.models import ENGINES, load_models
from edge_twin_app.rehearsing import Rehearsal, option_row, refused_row, timed_rehearsal

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers

DEFAULT_PROGRAM = "neutropenia"
CASE_SUFFIX = ".json"


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("rehearse", help="1,000-member what-ifs of the next cycle: table and picture")
    parser.add_argument(
        "what",
        nargs="?",
        default=DEFAULT_PROGRAM,
        help=f"an installed program ({', '.join(program_names())}), whose shipped example is rehearsed, or a case file "
        "with a next_cycle",
    )
    parser.add_argument("--engine", choices=ENGINES, help="the fastest one that answers right unless named")
    parser.add_argument(
        "--members", type=_members, help="members of the ensemble (the case's or the program's unless given)"
    )
    parser.add_argument(
        "--days", type=float, help="simulated after the first rehearsed dose (the program's unless given)"
    )
    parser.add_argument("--prior", action="store_true", help="the population instead of the patient: no count is used")
    parser.add_argument("--json", action="store_true", help="rows as JSON instead of the table")
    parser.add_argument("--out", type=Path, help="folder for a picture (needs the extra 'demo')")
    parser.set_defaults(run=run)


def _members(text: str) -> int:
    number = int(text)
    if not SMALLEST_ENSEMBLE <= number <= LARGEST_ENSEMBLE:
        raise argparse.ArgumentTypeError(f"an ensemble has {SMALLEST_ENSEMBLE} to {LARGEST_ENSEMBLE} members")
    return number


def run(options: argparse.Namespace) -> int:
    """Assimilate the case's counts, rehearse, and print."""
    case = _asked(options.what)
    models = load_models(case.program, options.engine)
    rehearsal = rehearse_case(case, models, options)
    document = {
        "rows": [option_row(option) for option in rehearsal.options],
        "elapsed_ms": plain(rehearsal.elapsed_ms),
        "members": rehearsal.members,
        "refused": [refused_row(regimen) for regimen in rehearsal.refused],
        "days": plain(options.days or case.program.followed_days),
        "program": case.program.id,
        "case": case.title,
        "counts_used": "none, population prior" if options.prior else "the case's",
        "model": models[0].id,
        "engine": models[0].engine_name,
    }
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n" if options.json else _table(rehearsal))
    if options.out:
        _draw(rehearsal, options.out, quiet=options.json)
    return 0


def _asked(what: str) -> Case:
    """A program's shipped example, or a case file.

    Raises:
        CaseError: the file's; ``no_example`` for a program without one.
        ProgramError: ``not_found`` for a word that names neither.
    """
    if what in program_names():
        return shipped_example(what)
    if what.endswith(CASE_SUFFIX) or Path(what).is_file():
        return load_case(Path(what))
    raise ProgramError(f"no program {what!r}; installed: {', '.join(program_names())}", reason="not_found")


def shipped_example(program: str) -> Case:
    """The first shipped case of a program, by file name.

    Raises:
        CaseError: ``no_example``.
    """
    folder = resources.files("edge_twin_app") / "cases"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(CASE_SUFFIX)), key=lambda item: item.name)
    for case in (read_case(item.read_bytes()) for item in files):
        if case.program.id == program:
            return case
    raise CaseError(f"no case of program {program} is shipped", reason="no_example")


def rehearse_case(case: Case, models: Sequence[ReducedModel], options: argparse.Namespace) -> Rehearsal:
    """Rehearse the next cycle of a case at its last moment.

    Raises:
        CaseError: ``no_next_cycle``.
        ProgramError: as ``edge_twin.rehearsal.rehearse``.
    """
    if case.next_cycle is None:
        raise CaseError("the case names no next_cycle", reason="no_next_cycle")
    model, *further = models
    given = case.inputs(model, tuple(further))[-1]
    if options.members:
        given = given.with_members(options.members)
    if options.prior:
        given = _without_counts(given)
    return timed_rehearsal(given, advance(given), case.next_cycle, options.days)


def _without_counts(given: TwinInput) -> TwinInput:
    others = tuple(o for o in given.observations if o.code != given.program.count.code)
    return replace(given, observations=others)


def _table(rehearsal: Rehearsal) -> str:
    if not rehearsal.options:
        return "Nothing to rehearse: no dose of the program's drug is on record.\n"
    low = f"chance < {rehearsal.options[0].event.threshold:g}"
    wide = max(len(option.option) for option in rehearsal.options) + 2
    head = f"{'option':<{wide}}{low:>14}{'lowest count (95 %)':>24}{'on dose day':>13}{'recovery':>10}{'effect':>8}"
    took = f"{rehearsal.members} courses for each option, {rehearsal.elapsed_ms:.0f} ms together"
    notes = [
        *(_effect(option) for option in rehearsal.options if option.support),
        *(f"{r.option}: refused, no installed model knows {', '.join(r.drugs)}" for r in rehearsal.refused),
        "Recovery: median days from the planned start. Effect: share of the drug effect of the first option.",
        f"Counts in 10⁹/L. {took}. To discuss with the team; nothing here recommends a dose.",
    ]
    return "\n".join([f"{head}  limits not kept", *(_line(option, wide) for option in rehearsal.options), *notes, ""])


def _effect(option: Rehearsed) -> str:
    """What the support does, within the one model that knows it; models differ, so its row has no rank."""
    without = out_of_100(option.unsupported_p_below or 0.0).text
    return (
        f"{option.option}: {option.support}; computed by {option.model_id}, which without it says {without} and a "
        f"lowest count of {option.unsupported_nadir_median:.2f}"
    )


def _line(option: Rehearsed, wide: int) -> str:
    nadir = f"{option.nadir_median:.2f} ({option.nadir_lower:.2f}-{option.nadir_upper:.2f})"
    recovery = "-" if option.days_to_recovery is None else f"{option.days_to_recovery:.0f}"
    effect = "-" if option.effect_share is None else f"{option.effect_share:.2f}"
    broken = "; ".join(option.limits_broken) or "none"
    chance = out_of_100(option.p_below).text
    shown = f"{option.option:<{wide}}{chance:>14}{nadir:>24}{option.count_on_dose_day:>13.1f}{recovery:>10}{effect:>8}"
    return f"{shown}  {broken}"


def _draw(rehearsal: Rehearsal, folder: Path, *, quiet: bool) -> None:
    from edge_twin_app.report.pictures import rehearsal_figure, save  # noqa: PLC0415 - matplotlib only when asked for

    folder.mkdir(parents=True, exist_ok=True)
    path = save(rehearsal_figure(rehearsal.options), folder / "rehearsal.png")
    (sys.stderr if quiet else sys.stdout).write(f"picture: {path}\n")
