"""Between the runtime's loop and the streams of the features: what comes is distilled once, as it comes.

Beats and heart rate come by the ten thousand a day. They are stored, go through the stream of their day, and leave
final features in the store; a step reads those and not the beats again. What comes late marks its day, which is made
anew from the store. Acceleration is not stored: its minutes come out of here as observations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from edge_twin import codes
from edge_twin.features.calendar import day_bounds, local_date
from edge_twin.features.feature import Feature
from edge_twin.features.heart_day import HEART_CODES
from edge_twin.features.heart_stream import STREAMED, HeartStream
from edge_twin.features.motion import MotionStream
from edge_twin.features.windows import WINDOW_NAMES
from edge_twin.observation import Observation, Quality, Waveform
from edge_twin.store import Store

_MICROSECOND = timedelta(microseconds=1)
RECENT = timedelta(minutes=15)  # of the heart rate, for rules that ask for its newest reading


class Streams:
    """The streams of one patient.

    Args:
        store: owned by the runtime; every method is called from the runtime's own thread.
        zone: the patient's.
        lead: readings further ahead of the clock wait until it comes to them.
    """

    def __init__(self, store: Store, zone: ZoneInfo, lead: timedelta) -> None:
        self._store = store
        self._zone = zone
        self._lead = lead
        self._heart = HeartStream(zone, date.max)
        self._motion: dict[str, MotionStream] = {}
        self._held: tuple[Observation, ...] = ()  # came since the last step and may not be used: one of each kind

    def start(self, now: datetime, days: Iterable[date]) -> None:
        """Begin at ``now``; the features of these local days are made anew from the store."""
        self._heart = HeartStream(self._zone, local_date(now, self._zone))
        self._heart.to_remake.update(days)

    def minutes_of(self, frame: Waveform) -> tuple[Observation, ...]:
        """Minutes of motion that a frame closed; nothing for a waveform that is not acceleration."""
        if frame.code != codes.ACCELERATION:
            return ()
        return self._motion.setdefault(frame.source, MotionStream(frame.source)).push(frame)

    def open_minutes(self) -> tuple[Observation, ...]:
        """Minutes of motion that were still open when the sources ended."""
        return tuple(minute for stream in self._motion.values() for minute in stream.finish())

    def counted(self) -> Iterator[tuple[str, int]]:
        """What the accelerometers' streams did not use since they were last asked, by reason."""
        for stream in self._motion.values():
            yield from ((f"motion_{reason}", number) for reason, number in stream.counted.items())
            stream.counted.clear()

    def absorb(self, new: Sequence[Observation], now: datetime) -> None:
        """Take what was stored just now, inside the same transaction."""
        present = [reading for reading in new if reading.time <= now + self._lead]
        self._store.put_features(self._heart.push(present), now)
        streamed = [reading for reading in new if reading.code in STREAMED]
        ahead = [reading for reading in streamed if reading.time > now + self._lead]
        self._heart.to_remake |= {local_date(reading.time, self._zone) for reading in ahead}
        absurd = [reading for reading in streamed if reading.quality is Quality.IMPLAUSIBLE]
        self._held += (*ahead[:1], *absurd[:1])

    def settle(self, now: datetime) -> None:
        """Bring the stored features of the heart up to ``now``."""
        with self._store.transaction():
            for day in sorted(self._heart.to_remake):
                self._remake(day, now)
            self._store.put_features(self._heart.summaries(), now)

    def to_look_at(self, now: datetime) -> Iterator[Observation]:
        """Readings that flags or refusals of a step at ``now`` ask for, though their features are made already.

        The newest of the heart rate; and of today, or new since the last step, what may not be used.
        """
        yield from self._store.observations(since=now - RECENT, code=codes.HEART_RATE)
        held, self._held = self._held, ()
        yield from held
        start, end = day_bounds(local_date(now, self._zone), self._zone)
        yield from (reading for reading in self._heart.implausible() if start <= reading.time < end)
        for code in STREAMED:
            ahead = self._store.first_observation(code, since=now + self._lead + _MICROSECOND, until=end)
            if ahead is not None:
                yield ahead

    def _remake(self, day: date, now: datetime) -> None:
        start, end = day_bounds(day, self._zone)
        limit = now + self._lead + _MICROSECOND
        readings = [
            o for code in HEART_CODES for o in self._store.observations(since=start, until=min(end, limit), code=code)
        ]
        features = self._heart.remake(day, readings) if readings else ()
        self._store.put_features((*self._superseded(start, end, features), *features), now)
        if any(self._store.first_observation(code, since=max(start, limit), until=end) for code in STREAMED):
            self._heart.to_remake.add(day)
        else:
            self._heart.to_remake.discard(day)

    def _superseded(self, start: datetime, end: datetime, features: Iterable[Feature]) -> Iterator[Feature]:
        """Windows that late beats cut otherwise: their numbers no longer stand."""
        standing = {feature.key for feature in features}
        for old in self._store.features(start, until=end, names=WINDOW_NAMES):
            if old.key not in standing:
                yield Feature(old.name, None, old.unit, old.start, old.end, 0, 0.0, "superseded")
