"""What the tests of clinical rules share: a patient at a moment, readings, a program with one threshold moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from edge_twin import codes
from edge_twin.care import CareContext, Medicine, MedicineKind
from edge_twin.contract import Dose, TwinInput
from edge_twin.features import Feature
from edge_twin.flag import Flag
from edge_twin.observation import Observation, Origin, Site, observe
from edge_twin.program import Program, Threshold, load_program
from edge_twin.twin import advance

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
DOSE = Dose(NOW - timedelta(days=8), "docetaxel", 180.0, timedelta(hours=1))
ADULT = CareContext(age_years=60.0, pregnant=False)


@cache
def neutropenia() -> Program:
    """The shipped program with its rule packs."""
    return load_program("neutropenia")


def moved(table: str, name: str, value: float) -> Program:
    """The program with one threshold at another value."""
    program = neutropenia()
    rows: dict[str, Threshold] = dict(program.thresholds[table])
    rows[name] = replace(rows[name], value=value)
    tables: Mapping[str, Mapping[str, Threshold]] = {**program.thresholds, table: rows}
    return replace(program, thresholds=tables)


def reading(code: codes.Code, value: float, minutes_ago: float = 1.0, **more: Any) -> Observation:  # noqa: ANN401 - passed on
    """A reading some minutes before the moment."""
    more.setdefault("source", "device")
    return observe(code, value, NOW - timedelta(minutes=minutes_ago), **more)


def oral(celsius: float, minutes_ago: float = 1.0, site: Site = Site.ORAL) -> Observation:
    """A temperature."""
    return reading(codes.BODY_TEMPERATURE, celsius, minutes_ago, source="thermometer", attributes={"site": site})


def lab(code: codes.Code, value: float, hours_ago: float = 1.0, **more: Any) -> Observation:  # noqa: ANN401 - passed on
    """A laboratory value."""
    return reading(code, value, 60.0 * hours_ago, source="lab", origin=Origin.LAB, **more)


def taking(kind: MedicineKind, days: float = 2.0) -> Medicine:
    """A medicine that is still taken."""
    return Medicine(f"a {kind}", kind, NOW - timedelta(days=days))


def taken_until(kind: MedicineKind, hours_ago: float) -> Medicine:
    """A medicine that was last taken some hours ago."""
    return Medicine(f"a {kind}", kind, NOW - timedelta(days=10), NOW - timedelta(hours=hours_ago))


def flags(
    *observations: Observation,
    care: CareContext = ADULT,
    doses: tuple[Dose, ...] = (),
    features: tuple[Feature, ...] = (),
    program: Program | None = None,
) -> tuple[Flag, ...]:
    """The flags of one step without a model."""
    given = TwinInput(NOW, "UTC", program or neutropenia(), None, observations, features, doses, care=care)
    return advance(given).flags


def found(key: str, raised: tuple[Flag, ...]) -> Flag | None:
    """The flag with this key, or None; two of one key are an error."""
    matching = [flag for flag in raised if flag.key == key]
    assert len(matching) <= 1, key
    return matching[0] if matching else None
