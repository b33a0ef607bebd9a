"""Weight and height of a day as read; what they mean over weeks is in ``trends.py``."""

from __future__ import annotations

from collections.abc import Iterator

from edge_twin import codes
from edge_twin.features import names
from edge_twin.features.day import Day
from edge_twin.features.feature import Feature, middle
from edge_twin.features.quality import screen

READING, HEIGHT = names.WEIGHT_READING, names.HEIGHT


def weight_features(day: Day) -> Iterator[Feature]:
    """Median weight and height of the day's usable readings."""
    for name, code in ((READING, codes.BODY_WEIGHT), (HEIGHT, codes.BODY_HEIGHT)):
        if readings := day.of(code):
            screened = screen(readings)
            used, total = len(screened.readings), screened.total
            if screened.reason:
                yield day.refused(name, code.unit, screened.reason, 0, total)
            else:
                yield day.number(name, middle(screened.values), code.unit, used, total)
