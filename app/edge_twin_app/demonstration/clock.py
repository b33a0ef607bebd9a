"""A clock that the played course sets: 24 days pass as fast as the radio takes the data."""

from __future__ import annotations

from datetime import datetime, timedelta


class CourseClock:
    """Gives the time in the played course.

    Args:
        start: aware time of the first moment.
    """

    def __init__(self, start: datetime) -> None:
        self._now = start

    def __call__(self) -> datetime:
        """The time now."""
        return self._now

    def jump_to(self, moment: datetime) -> None:
        """Move on to ``moment``; time never runs backwards."""
        self._now = max(self._now, moment)

    async def pace(self, seconds: float) -> None:
        """Let the seconds pass that the next beats last."""
        self._now += timedelta(seconds=seconds)
