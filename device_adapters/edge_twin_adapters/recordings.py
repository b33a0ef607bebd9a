"""Real beat-to-beat recordings of one person around an infection, for replay through a virtual strap.

An excerpt of Welltory/hrv-covid19 (CC0 1.0; see ``recordings/README.md``): someone whose resting pulse
rises from about 55 to about 90 per minute when an infection begins on 2020-05-11. The intervals are
never altered; what is moved is the hour of day, and each window says so.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from importlib import resources

from edge_twin_adapters.errors import RecordingError

FIRST_DAY = date(2020, 4, 25)
DAYS = 24
_FILE = "welltory_295ed96279.csv"
_COLUMNS = ("user_code", "rr_code", "measurement_datetime", "rr_data")

_EVENING_FROM = time(17)
# Someone who measures this late is about to sleep: that is what the coming night looks like.
_NIGHT_FROM = time(21)


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of consecutive beats at rest.

    Attributes:
        rr_code: its unique code in the release.
        day: date in the person's own zone, which the release does not give.
        time_of_day: local time of day at which it was made.
        rr_ms: RR intervals in ms, in order.
    """

    rr_code: str
    day: date
    time_of_day: time
    rr_ms: tuple[int, ...]

    @property
    def local(self) -> datetime:
        """Date and time of day together; naive, because the release names no zone."""
        return datetime.combine(self.day, self.time_of_day)


class WindowName(StrEnum):
    """The three times a day at which a person is followed."""

    NIGHT = "night"
    MORNING = "morning"
    EVENING = "evening"


_STARTS = {WindowName.NIGHT: time(3), WindowName.MORNING: time(8), WindowName.EVENING: time(21)}


@dataclass(frozen=True, slots=True)
class Window:
    """A real recording that plays the part of one time of one day.

    Attributes:
        name: which time of the day.
        day_index: day of the course, 0 is :data:`FIRST_DAY`.
        day: that date.
        start: local time of day at which the window begins.
        recording: the recording, unaltered.
    """

    name: WindowName
    day_index: int
    day: date
    start: time
    recording: Recording

    @property
    def moved(self) -> timedelta:
        """How far the recording was moved, later being positive."""
        return datetime.combine(self.day, self.start) - self.recording.local

    @property
    def provenance(self) -> str:
        """A sentence for reports: which recording this is and that its hour was moved."""
        hours = self.moved / timedelta(hours=1)
        return (
            f"Welltory recording {self.recording.rr_code} of {self.recording.local.isoformat(' ')}, "
            f"hour of day moved by {hours:+.1f} h to {self.start:%H:%M} on {self.day.isoformat()}"
        )


def load_recordings() -> tuple[Recording, ...]:
    """The recordings that come with the package, in order of time.

    Raises:
        RecordingError: the file is damaged; reasons as :func:`parse_recordings`.
    """
    file = resources.files("edge_twin_adapters").joinpath("recordings", _FILE)
    return parse_recordings(file.read_text(encoding="utf-8"))


def parse_recordings(text: str) -> tuple[Recording, ...]:
    """Parse the columns user_code, rr_code, measurement_datetime and rr_data of the release.

    Raises:
        RecordingError: ``wrong_columns``, ``malformed_row``, ``invalid_time``, ``invalid_interval`` or
            ``duplicate_code``; the message names the line.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    recordings: dict[str, Recording] = {}
    try:
        if tuple(reader.fieldnames or ()) != _COLUMNS:
            raise RecordingError(f"line 1: the columns are not {', '.join(_COLUMNS)}", reason="wrong_columns")
        for row in reader:
            recording = _parse_row(row, reader.line_num)
            if recording.rr_code in recordings:
                raise _at(reader.line_num, f"code {recording.rr_code} again", "duplicate_code")
            recordings[recording.rr_code] = recording
    except csv.Error as error:
        raise _at(reader.reader.line_num, str(error), "malformed_row") from error
    return tuple(sorted(recordings.values(), key=lambda recording: recording.local))


def _at(line: int, message: str, reason: str) -> RecordingError:
    return RecordingError(f"line {line}: {message}", reason=reason)


def _parse_row(row: dict[str, str], line: int) -> Recording:
    # csv.DictReader collects surplus fields under None and fills missing ones with None.
    if None in row or None in row.values() or not row["rr_code"]:
        raise _at(line, "wrong number of fields, or no code", "malformed_row")
    day, _, time_of_day = row["measurement_datetime"].partition(" ")
    try:
        moment = date.fromisoformat(day), time.fromisoformat(time_of_day)
    except ValueError as error:
        raise _at(line, "no date and time of day", "invalid_time") from error
    if moment[1].tzinfo is not None:
        raise _at(line, "the release has no zones", "invalid_time")
    return Recording(row["rr_code"], *moment, _parse_intervals(row["rr_data"], line))


def _parse_intervals(text: str, line: int) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and part.strip("0") for part in parts):
        raise _at(line, "rr_data is not a list of whole milliseconds above zero", "invalid_interval")
    return tuple(int(part) for part in parts)


def windows_for_day(recordings: Sequence[Recording], day_index: int) -> tuple[Window, Window, Window]:
    """Night (03:00), morning (08:00) and evening (21:00) of one day, each played by a real recording.

    A date without recordings borrows those of the latest earlier date (of the earliest date, before
    the first). Night and morning take the date's recording nearest in time; the night takes one made
    after 21:00 of the evening before if there is one. The evening takes one made from 17:00 on if
    there is one, else the nearest.

    Args:
        recordings: as from :func:`load_recordings`; not empty.
        day_index: 0 to 23.

    Raises:
        RecordingError: ``no_such_day``, or ``no_recordings``.
    """
    if not 0 <= day_index < DAYS:
        raise RecordingError(f"the course has days 0 to {DAYS - 1}", reason="no_such_day")
    if not recordings:
        raise RecordingError("there are no recordings", reason="no_recordings")
    day = FIRST_DAY + timedelta(days=day_index)
    today = _recordings_for(recordings, day)
    late = [r for r in recordings if r.day == day - timedelta(days=1) and r.time_of_day >= _NIGHT_FROM]
    evening = [r for r in today if r.time_of_day >= _EVENING_FROM]
    chosen = {
        WindowName.NIGHT: max(late, key=lambda r: r.local) if late else _nearest(today, WindowName.NIGHT),
        WindowName.MORNING: _nearest(today, WindowName.MORNING),
        WindowName.EVENING: _nearest(evening or today, WindowName.EVENING),
    }
    night, morning, night_fall = (Window(name, day_index, day, _STARTS[name], chosen[name]) for name in WindowName)
    return night, morning, night_fall


def _recordings_for(recordings: Iterable[Recording], day: date) -> list[Recording]:
    """Those of ``day``, else of the latest earlier date, else of the first date there is."""
    by_day: dict[date, list[Recording]] = {}
    for recording in recordings:
        by_day.setdefault(recording.day, []).append(recording)
    earlier = [other for other in by_day if other <= day]
    return by_day[max(earlier) if earlier else min(by_day)]


def _nearest(recordings: Iterable[Recording], name: WindowName) -> Recording:
    start = _minutes(_STARTS[name])
    return min(recordings, key=lambda r: (abs(_minutes(r.time_of_day) - start), r.time_of_day))


def _minutes(moment: time) -> float:
    return moment.hour * 60 + moment.minute + moment.second / 60
