"""What the detector remembers as plain JSON values and back; a saved state goes on exactly where it stopped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from edge_twin.detection.log import PersonLog, StreamLog
from edge_twin.errors import DetectionError

SCHEMA = "edge-twin.detector-state/1"


def log_form(log: PersonLog, settings_version: int) -> dict[str, Any]:
    """The memory of a detector as JSON values; numbers are not rounded.

    Args:
        log: to save.
        settings_version: of the detector that it belongs to.
    """
    return {
        "schema": SCHEMA,
        "settings_version": settings_version,
        "last_day": log.last,
        "streams": {name: list(zip(kept.days, kept.values, strict=True)) for name, kept in log.streams.items()},
        "cycle_days": list(log.cycle_days.items()),
        "valid_days": list(log.valid),
        "scores": list(log.scores.items()),
        "alert_days": list(log.alerts),
    }


def log_of(form: Any, streams: Sequence[str], settings_version: int) -> PersonLog:  # noqa: ANN401 - anything may be read from a file
    """The memory from its form.

    Args:
        form: what ``log_form`` gave, perhaps through JSON.
        streams: names that the detector knows.
        settings_version: of the detector that is to go on with it.

    Raises:
        DetectionError: ``bad_state`` when it is no such form; ``other_settings`` when it was made under others.
    """
    try:
        if form["schema"] != SCHEMA:
            raise DetectionError(f"a state of schema {form['schema']!r}, not {SCHEMA!r}", reason="bad_state")
        if form["settings_version"] != settings_version or set(form["streams"]) != set(streams):
            raise DetectionError("the state was made under other settings: start anew", reason="other_settings")
        return _read(form, streams)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DetectionError(f"a state that cannot be read: {error!r}", reason="bad_state") from error


def _read(form: Mapping[str, Any], streams: Sequence[str]) -> PersonLog:
    return PersonLog(
        streams={name: _stream(form["streams"][name]) for name in streams},
        cycle_days={_whole(day): _whole(at) for day, at in form["cycle_days"]},
        valid=_ascending(form["valid_days"]),
        scores={_whole(day): _finite(score) for day, score in form["scores"]},
        alerts=_ascending(form["alert_days"]),
        last=None if form["last_day"] is None else _whole(form["last_day"]),
    )


def _stream(rows: Sequence[Sequence[Any]]) -> StreamLog:
    return StreamLog(_ascending([day for day, _ in rows]), [_finite(value) for _, value in rows])


def _ascending(days: Sequence[Any]) -> list[int]:
    whole = [_whole(day) for day in days]
    if any(later <= earlier for earlier, later in pairwise(whole)):
        raise ValueError("days must ascend")
    return whole


def _whole(value: Any) -> int:  # noqa: ANN401 - a JSON value
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _finite(value: Any) -> float:  # noqa: ANN401 - a JSON value
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not finite")
    return number
