"""A program of tests that names the rule packs that a test asks for, and the flags of its rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from edge_twin.care import CareContext
from edge_twin.contract import Dose, TwinInput
from edge_twin.flag import Flag
from edge_twin.observation import Observation
from edge_twin.program import Program, load_program
from edge_twin.twin import advance

SHIPPED = Path(__file__).resolve().parents[1] / "edge_twin" / "programs" / "neutropenia.toml"


def program_with(folder: Path, *packs: str) -> Program:
    """The shipped neutropenia program with these rule packs and no others.

    Args:
        folder: where its file is written.
        packs: names of rule packs.
    """
    text = re.sub(r"^rules = .*\n", "", SHIPPED.read_text(encoding="utf-8"), flags=re.MULTILINE)
    names = ", ".join(f'"{pack}"' for pack in packs)
    file = folder / f"{'_'.join(packs) or 'none'}.toml"
    file.write_text(text.replace("\nversion = ", f"\nrules = [{names}]\nversion = ", 1), encoding="utf-8")
    return load_program(file)


def flags_of(
    program: Program,
    now: datetime,
    observations: Iterable[Observation],
    care: CareContext | None = None,
    doses: tuple[Dose, ...] = (),
) -> tuple[Flag, ...]:
    """What the pure step raises without a model."""
    given = TwinInput(now, "Europe/Berlin", program, None, tuple(observations), doses=doses, care=care or CareContext())
    return advance(given).flags
