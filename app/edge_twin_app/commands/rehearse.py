"""``edge-twin rehearse``: what each allowed way of giving the next cycle would do to this patient."""

from __future__ import annotations

import argparse
import json
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from edge_twin.case import Case
from edge_twin.errors import CaseError
from edge_twin.flags.situation import out_of_100
from edge_twin.jsonform import plain
from edge_twin.rehearsal import Rehearsed
from edge_twin.twin import advance
from edge_twin_app.commands.replay import load_case
from edge_twin_app.models import ENGINES, load_models
from edge_twin_app.rehearsing import Rehearsal, option_row, refused_row, timed_rehearsal

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers

EXAMPLE = "sensitive.json"


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("rehearse", help="1,000-member what-ifs of the next cycle: table and picture")
    parser.add_argument("case", type=Path, nargs="?", help="case with a next_cycle; a shipped example without it")
    parser.add_argument("--engine", choices=ENGINES, help="the fastest one that answers right unless named")
    parser.add_argument(
        "--members", type=int, help="members of the ensemble (the case's or the program's unless given)"
    )
    parser.add_argument("--json", action="store_true", help="rows as JSON instead of the table")
    parser.add_argument("--out", type=Path, help="folder for a picture (needs the extra 'demo')")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Assimilate the case's counts, rehearse, and print."""
    case = load_case(options.case or Path(str(resources.files("edge_twin_app") / "cases" / EXAMPLE)))
    rehearsal = rehearse_case(case, options.engine, options.members)
    document = {
        "rows": [option_row(option) for option in rehearsal.options],
        "elapsed_ms": plain(rehearsal.elapsed_ms),
        "members": rehearsal.members,
        "refused": [refused_row(regimen) for regimen in rehearsal.refused],
    }
    sys.stdout.write(json.dumps(document, indent=1) + "\n" if options.json else _table(rehearsal))
    if options.out:
        _draw(rehearsal, options.out)
    return 0


def rehearse_case(case: Case, engine: str | None, members: int | None) -> Rehearsal:
    """Rehearse the next cycle of a case at its last moment.

    Raises:
        CaseError: ``no_next_cycle``.
    """
    if case.next_cycle is None:
        raise CaseError("the case names no next_cycle", reason="no_next_cycle")
    model, *further = load_models(case.program, engine)
    given = case.inputs(model, tuple(further))[-1]
    if members:
        given = given.with_members(members)
    return timed_rehearsal(given, advance(given), case.next_cycle)


def _table(rehearsal: Rehearsal) -> str:
    lines = [f"{'option':<18}{'chance < 0.5':>14}{'lowest count (95 %)':>26}{'on dose day':>13}  limits not kept"]
    for option in rehearsal.options:
        nadir = f"{option.nadir_median:.2f} ({option.nadir_lower:.2f}-{option.nadir_upper:.2f})"
        chance = out_of_100(option.p_anc_below_0_5)
        broken = "; ".join(option.limits_broken) or "none"
        lines.append(f"{option.option:<18}{chance:>14}{nadir:>26}{option.anc_on_dose_day:>13.1f}  {broken}")
    lines += [_effect(option) for option in rehearsal.options if option.support]
    lines += [f"{r.option}: refused, no installed model knows {', '.join(r.drugs)}" for r in rehearsal.refused]
    took = f"{rehearsal.members} courses for each option, {rehearsal.elapsed_ms:.0f} ms together"
    return "\n".join(
        [*lines, f"Counts in 10⁹/L. {took}. To discuss with the team; nothing here recommends a dose.", ""]
    )


def _effect(option: Rehearsed) -> str:
    """What the support does, within the one model that knows it; models differ, so its row has no rank."""
    without = out_of_100(option.unsupported_p_anc_below_0_5 or 0.0)
    return (
        f"{option.option}: {option.support}; computed by {option.model_id}, which without it says {without} and a "
        f"lowest count of {option.unsupported_nadir_median:.2f}"
    )


def _draw(rehearsal: Rehearsal, folder: Path) -> None:
    from edge_twin_app.report.pictures import rehearsal_figure, save  # noqa: PLC0415 - matplotlib only when asked for

    folder.mkdir(parents=True, exist_ok=True)
    path = save(rehearsal_figure(rehearsal.options), folder / "rehearsal.png")
    sys.stdout.write(f"picture: {path}\n")
