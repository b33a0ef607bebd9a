"""The parameters of a generator, read from its versioned file; the code holds none."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MARKS = ("S", "P", "C", "A", "U")  # checked in the source, published, project choice, assumed, unverified
FIELDS = {"value", "unit", "mark", "source"}
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parameters:
    """Named numbers and lists of numbers of one generator.

    Attributes:
        version: of the file; a changed number is a new version.
        values: by name.
    """

    version: str
    values: Mapping[str, float | list[float]]

    def __getitem__(self, name: str) -> float:
        """One number."""
        value = self.values[name]
        if isinstance(value, list):
            raise TypeError(f"{name} is a list")
        return value

    def list(self, name: str) -> Floats:
        """A list of numbers."""
        return np.atleast_1d(np.asarray(self.values[name], dtype=np.float64))


def load(name: str) -> Parameters:
    """Parameters of a file of this package.

    Raises:
        ValueError: see ``parse``.
    """
    return parse((Path(__file__).parent / f"{name}.toml").read_text(encoding="utf-8"))


def parse(text: str) -> Parameters:
    """Parameters of a file's text, every entry with value, unit, mark and source.

    Raises:
        ValueError: no TOML, no version, or an entry lacks one of them or bears an unknown mark.
    """
    document = tomllib.loads(text)  # its error is a ValueError
    if "version" not in document:
        raise ValueError("the file names no version")
    version = str(document.pop("version"))
    return Parameters(version, {key: _value(key, entry) for key, entry in document.items()})


def _value(key: str, entry: object) -> float | list[float]:
    """The value of an entry that is complete."""
    if not isinstance(entry, dict) or set(entry) != FIELDS or entry["mark"] not in MARKS or not entry["source"]:
        raise ValueError(f"{key} lacks value, unit, mark or source")
    value = entry["value"]
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(isinstance(number, int | float) for number in numbers):
        raise ValueError(f"{key} is no number and no list of numbers")
    return [float(number) for number in numbers] if isinstance(value, list) else float(value)


def markdown(text: str) -> str:
    """The table of a file's parameters that the documentation shows."""
    parse(text)
    lines = ["| parameter | value | unit | mark | source |", "|---|---|---|---|---|"]
    for key, entry in tomllib.loads(text).items():
        if key != "version":
            value = str(entry["value"]).strip("[]")
            lines.append(f"| {key} | {value} | {entry['unit']} | {entry['mark']} | {entry['source']} |")
    return "\n".join(lines)
