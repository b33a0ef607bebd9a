"""Twin values as plain JSON values and back: one form for case files, the store and reports.

Times are ISO 8601 in UTC with "Z"; floats are rounded to nine significant digits, so that canonical
output does not carry the last bits of one machine's arithmetic.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import numpy as np

from edge_twin.contract import Forecast, Posterior, TwinOutput
from edge_twin.features import Feature
from edge_twin.flag import Flag
from edge_twin.observation import Waveform
from edge_twin.wording import Message, english

SIGNIFICANT_DIGITS = 9


def time_text(moment: datetime) -> str:
    """A UTC time as ISO 8601 ending in "Z"."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(value: Any) -> Any:  # noqa: ANN401 - any value of the twin's contract goes in, any JSON value comes out
    """A value of the twin's contract as JSON values; dictionaries keep the field names.

    Raises:
        TypeError: for a type that has no JSON form here.
    """
    for kinds, convert in _CONVERTERS:
        if isinstance(value, kinds):
            return convert(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON form")


def rounded(value: float) -> float | None:
    """``value`` to nine significant digits; None for what JSON cannot say."""
    number = float(value)
    return float(f"{number:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(number) else None


def canonical(value: Any) -> bytes:  # noqa: ANN401 - see plain()
    """JSON bytes with sorted keys and no spare space: equal values give equal bytes."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _feature_form(feature: Feature) -> dict[str, Any]:
    """A feature as JSON values; a first version does not say that it is one."""
    form = {field.name: plain(getattr(feature, field.name)) for field in fields(feature)}
    if feature.version == 1:
        del form["version"], form["corrected"]
    return form


def output_form(output: TwinOutput) -> dict[str, Any]:
    """A step's output as JSON values; the ensemble itself is reduced to mean and standard deviation."""
    form = {field.name: plain(getattr(output, field.name)) for field in fields(output) if field.name != "posterior"}
    return {**form, "forecast": forecast_form(output.forecast), "posterior": _posterior_form(output.posterior)}


def forecast_form(forecast: Forecast | None) -> dict[str, Any] | None:
    """A forecast as JSON values; the probability of a low count stands under the name of its event."""
    if forecast is None:
        return None
    renamed = {"p_below": forecast.event.probability_name}
    names = (field.name for field in fields(forecast) if field.name != "event")
    return {renamed.get(name, name): plain(getattr(forecast, name)) for name in names}


def flag_form(flag: Flag) -> dict[str, Any]:
    """A flag as JSON values: its fields, its sentences in the reference language, and the same as messages."""
    names = [field.name for field in fields(flag) if field.name != "says"]
    form = {name: plain(getattr(flag, name)) for name in names}
    spoken = {field.name: getattr(flag.says, field.name) for field in fields(flag.says)}
    said = {name: english(text) for name, text in spoken.items()}
    return {**form, **said, "messages": {name: plain(text) for name, text in spoken.items()}}


def message_form(message: Message) -> dict[str, Any]:
    """A message as JSON values; a time keeps its offset, since the sentence shows the patient's hour."""
    return {"id": message.id, "arguments": {name: _argument(value) for name, value in message.arguments}}


def _argument(value: object) -> Any:  # noqa: ANN401 - see plain()
    return value.isoformat() if isinstance(value, datetime) else plain(value)


def waveform_form(waveform: Waveform) -> dict[str, Any]:
    """A waveform as JSON values; samples are not rounded, since they are what the device said."""
    return {
        "id": waveform.id,
        "code": waveform.code.name,
        "unit": waveform.code.unit,
        "start": time_text(waveform.start),
        "period_s": waveform.period_s,
        "channels": list(waveform.channels),
        "samples": [list(row) for row in waveform.samples],
        "source": waveform.source,
        "quality": waveform.quality.value,
        "attributes": dict(waveform.attributes),
    }


def _posterior_form(posterior: Posterior | None) -> dict[str, Any] | None:
    if posterior is None:
        return None
    spread = np.sqrt(np.diag(posterior.covariance))
    return {"names": list(posterior.names), "log_mean": plain(posterior.mean), "log_sd": plain(spread)}


# Order matters: bool is an int, an enum of strings is a string.
_CONVERTERS: tuple[tuple[Any, Any], ...] = (
    (Enum, lambda value: value.value),
    ((bool, str, type(None)), lambda value: value),
    ((float, np.floating), rounded),
    ((int, np.integer), int),
    (Feature, _feature_form),
    (datetime, time_text),
    (Flag, flag_form),
    (Message, message_form),
    (timedelta, lambda value: value.total_seconds()),
    (np.ndarray, lambda value: [plain(item) for item in value]),
    ((list, tuple, frozenset), lambda value: [plain(item) for item in value]),
    (Mapping, lambda value: {str(key): plain(item) for key, item in value.items()}),
)
