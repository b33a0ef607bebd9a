"""Rows as a person reads them and as a program does."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def write_rows(rows: Sequence[Row], *, as_json: bool, columns: Sequence[str], nothing: str) -> None:
    """Print rows to standard output.

    Args:
        rows: all of one form.
        as_json: one object ``{"rows": [...]}`` with everything, not a table of ``columns``.
        columns: keys to show, in their order.
        nothing: the sentence that stands in place of an empty table.
    """
    if as_json:
        sys.stdout.write(json.dumps({"rows": list(rows)}, indent=1) + "\n")
    else:
        sys.stdout.write(("\n".join(lines(rows, columns)) if rows else nothing) + "\n")


def lines(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """A table in plain text: a heading and a line for each row, columns as wide as what is in them."""
    cells = [[column.replace("_", " ") for column in columns]]
    cells += [[shown(row[column]) for column in columns] for row in rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def shown(value: object) -> str:
    """A cell: a dash for what is not known, lists with commas."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_reading(one) if isinstance(one, Mapping) else str(one) for one in value) or "-"
    return printable(f"{value:g}" if isinstance(value, float) else str(value))


def printable(text: str) -> str:
    """Text of a device without control characters, which could rewrite the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _reading(reading: Row) -> str:
    doubt = "" if reading["quality"] == "good" else f" ({reading['quality']})"
    return f"{reading['name']} {reading['value']:g} {reading['unit']}{doubt}"
