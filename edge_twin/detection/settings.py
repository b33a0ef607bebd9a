"""Parameters of the detector: read from ``detector.toml``, where each stands with its mark and source."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from edge_twin.errors import DetectionError

SCHEMA = "edge-twin.detector/1"
SHIPPED = Path(__file__).parent / "detector.toml"

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How one stream is judged; meanings and sources stand in ``detector.toml``."""

    name: str
    unit: str
    logarithm: bool
    lowest: float
    highest: float
    sign: float
    scale_floor: float
    usual_scale: float
    scale_days: float
    persistence: float
    persistence_days: float
    largest_persistence: float
    clip: float
    weekday_shrinkage: float
    cycle_shrinkage: float
    cycle_clip: float
    degrees_of_freedom: float
    unit_exponent: float
    amplitudes: Numbers
    amplitude_weights: Numbers
    response: Numbers
    leads: Numbers
    lead_weights: Numbers


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """Days and weights of the onset filter."""

    window_days: int
    lag_days: int
    least_values: int
    memory_days: int
    onset_back_days: int
    onset_ahead_days: int
    freeze_days: int
    cycle_window_days: int


@dataclass(frozen=True, slots=True)
class PersonSettings:
    """How a person's own usual scores move the bar."""

    quantile: float
    usual_level: float
    history_days: int
    shrinkage_days: float
    least_scores: int
    strength: float


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """When a score becomes an alert."""

    threshold: float
    refractory_days: int
    warm_up_days: int
    stands_days: int


@dataclass(frozen=True, slots=True)
class ProbabilitySettings:
    """The monotone map from score to probability: lowest + (highest - lowest) * logistic(intercept + slope * score)."""

    intercept: float
    slope: float
    lowest: float
    highest: float
    first_day: int
    last_day: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides a score; ``threshold_origin`` is the mark and source of the alert's threshold."""

    version: int
    streams: tuple[StreamSettings, ...]
    onset: FilterSettings
    person: PersonSettings
    alert: AlertSettings
    probability: ProbabilitySettings
    threshold_origin: tuple[str, str]


@lru_cache(maxsize=1)
def shipped() -> Settings:
    """The settings that come with the package."""
    return read(SHIPPED.read_text(encoding="utf-8"))


def read(text: str) -> Settings:
    """Settings from the text of a ``detector.toml``.

    Raises:
        DetectionError: ``bad_settings`` when it is no such text.
    """
    try:
        table = tomllib.loads(text)
        if table["schema"] != SCHEMA:
            raise DetectionError(f"settings of schema {table['schema']!r}, not {SCHEMA!r}", reason="bad_settings")
        common = _values(table["every_stream"])
        return Settings(
            version=int(table["version"]),
            streams=tuple(_stream(common, row) for row in table["stream"]),
            onset=FilterSettings(**_values(table["filter"])),
            person=PersonSettings(**_values(table["person"])),
            alert=AlertSettings(**_values(table["alert"])),
            probability=ProbabilitySettings(**_values(table["probability"])),
            threshold_origin=(table["alert"]["threshold"]["mark"], table["alert"]["threshold"]["source"]),
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise DetectionError(f"settings that cannot be read: {error!r}", reason="bad_settings") from error


def _values(table: Mapping[str, Any]) -> dict[str, Any]:
    """Each row's value; a list becomes a tuple."""
    return {name: _value(row) for name, row in table.items()}


def _value(row: Any) -> Any:  # noqa: ANN401 - a cell of TOML: a number, text, a list, or a row with its value
    value = row["value"] if isinstance(row, Mapping) else row
    return tuple(value) if isinstance(value, list) else value


def _stream(common: Mapping[str, Any], row: Mapping[str, Any]) -> StreamSettings:
    return StreamSettings(**{**common, **_values(row)})
