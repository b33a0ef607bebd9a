"""When a reading of a device's clock was, on the host's clock: robust regression over many frames.

The first frame alone would put its own latency and all later drift into every time (bleakheart does
that). Latency is never negative and mostly short, so the offset is a median, and the drift is Siegel's
repeated median of slopes (Biometrika 69, 1982), which half of the pairs may contradict.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Worst sleep clock accuracy that a BLE device may announce (Bluetooth Core, Vol 6 Part B 4.4.4.4) [P].
LARGEST_DRIFT = 500e-6
# Over a shorter span jitter looks like drift [A].
SHORTEST_SPAN_S = 600.0
# Drift changes with temperature: older pairs say little about now [A].
LONGEST_SPAN_S = 6 * 3600.0
# A frame cannot be late by more than the longest supervision timeout (Core, Vol 4 Part E 7.8.12) [P].
LONGEST_LATENCY_S = 32.0
# A clock that is ahead of its own past by more than this was set [A].
JITTER_S = 2.0

_MOST_PAIRS = 64
_FIRST_SPACING_S = 1.0
# Late by more than the jitter for so many frames in a row is a clock that was set back a little [A].
_LATE_FRAMES = 8


@dataclass(frozen=True, slots=True)
class Reading:
    """What the map makes of one pair.

    Attributes:
        host_s: when it was, on the host's clock.
        believed: False when the device's clock contradicts the map; ``host_s`` is then the reception.
        jump_s: by how many seconds the clock was set ahead (negative: back), when this pair confirms it.
    """

    host_s: float
    believed: bool
    jump_s: float | None = None


class ClockMap:
    """The map from one device's clock to the host's, both in seconds from any fixed epoch."""

    def __init__(self) -> None:
        self._anchor: tuple[float, float] | None = None
        self._pairs: list[tuple[float, float]] = []
        self._spacing = _FIRST_SPACING_S
        self._last_device = 0.0
        self._late = 0
        self._suspect: tuple[float, float] | None = None
        self.offset = 0.0
        self.drift = 0.0

    def add(self, device_s: float, host_s: float) -> Reading:
        """Take in that the clock showed ``device_s`` when the host received at ``host_s``.

        A pair that contradicts the map is placed at its reception. A second one that agrees with it is a
        clock that was set, and the map begins anew; a lone one was a damaged frame.
        """
        if self._anchor is None:
            self._begin(device_s, host_s)
        late_s = host_s - self.host(device_s)
        believed = self._is_believable(device_s, late_s)
        if not believed and (jump_s := self._confirmed_jump(device_s, host_s)) is not None:
            return Reading(host_s, believed=True, jump_s=jump_s)
        if not believed:
            self._suspect = (device_s, host_s)
            return Reading(host_s, believed=False)
        self._suspect = None
        self._last_device = device_s
        if abs(late_s) <= JITTER_S:
            self._keep(device_s, host_s)
        return Reading(self.host(device_s), believed=True)

    def host(self, device_s: float) -> float:
        """The host's time at which the device's clock showed ``device_s``.

        Raises:
            LookupError: nothing was added yet.
        """
        if self._anchor is None:
            message = "no pair was added"
            raise LookupError(message)
        device_0, host_0 = self._anchor
        elapsed = device_s - device_0
        return host_0 + elapsed * (1.0 + self.drift) + self.offset

    def _begin(self, device_s: float, host_s: float) -> None:
        self._anchor = (device_s, host_s)
        self._pairs = [(0.0, 0.0)]
        self._spacing = _FIRST_SPACING_S
        self._last_device = device_s
        self._late = 0
        self._suspect = None
        self.offset = self.drift = 0.0

    def _is_believable(self, device_s: float, late_s: float) -> bool:
        # While nothing came the clock may have drifted.
        slack = JITTER_S + LARGEST_DRIFT * abs(device_s - self._last_device)
        if late_s < -slack or device_s < self._last_device - JITTER_S or late_s > LONGEST_LATENCY_S + slack:
            return False
        self._late = self._late + 1 if late_s > slack else 0
        return self._late < _LATE_FRAMES

    def _confirmed_jump(self, device_s: float, host_s: float) -> float | None:
        """By how much the clock was set, once two pairs agree; the map then begins anew."""
        if self._suspect is None:
            return None
        suspect_device, suspect_host = self._suspect
        if abs((host_s - suspect_host) - (device_s - suspect_device)) > JITTER_S:
            return None
        jump_s = self.host(suspect_device) - suspect_host
        self._begin(suspect_device, suspect_host)
        self._keep(device_s, host_s)
        return jump_s

    def _keep(self, device_s: float, host_s: float) -> None:
        device_0, host_0 = self._anchor or (0.0, 0.0)
        elapsed = device_s - device_0
        if elapsed - self._pairs[-1][0] < self._spacing:
            return
        self._pairs.append((elapsed, host_s - host_0 - elapsed))
        self._pairs = [pair for pair in self._pairs if elapsed - pair[0] <= LONGEST_SPAN_S]
        if len(self._pairs) > _MOST_PAIRS:
            # Every other pair goes, so that the span doubles and the work stays the same.
            self._pairs = self._pairs[::2]
            self._spacing *= 2
        self._fit()

    def _fit(self) -> None:
        elapsed, offsets = np.array(self._pairs).T
        span = elapsed[-1] - elapsed[0]
        self.drift = 0.0
        if span >= SHORTEST_SPAN_S:
            self.drift = float(np.clip(repeated_median_slope(elapsed, offsets), -LARGEST_DRIFT, LARGEST_DRIFT))
        self.offset = float(np.median(offsets - self.drift * elapsed))


def repeated_median_slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Siegel's repeated median: for each point the median slope to all others, and of these the median.

    Args:
        x: shape [n], all different, n at least 2.
        y: shape [n].
    """
    rise, run = y[:, None] - y, x[:, None] - x
    others = ~np.eye(len(x), dtype=bool)
    slopes = (rise[others] / run[others]).reshape(len(x), len(x) - 1)
    return float(np.median(np.median(slopes, axis=1)))
