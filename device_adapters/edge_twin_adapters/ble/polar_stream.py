"""What a Polar sensor agreed to when a measurement was started, and what its last frame said.

A data frame leaves both out. Source of the protocol: polarofficial/polar-ble-sdk, ``PmdSetting.kt``,
``PmdMeasurementType.kt`` and ``BlePMDClient.kt``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from edge_twin_adapters.errors import AdapterError

# From one sample in twenty minutes to far above any stream of the SDK, which ends at 416 Hz.
SLOWEST_HZ, FASTEST_HZ = 1e-3, 1e5
LARGEST_FACTOR = 3.5e38  # FACTOR is single precision


class Measurement(IntEnum):
    """Measurement types; those without samples can be listed by the feature read but not streamed."""

    ECG = 0
    PPG = 1
    ACC = 2
    PPI = 3
    GYRO = 5
    MAGNETOMETER = 6
    SKIN_TEMPERATURE = 7
    SDK_MODE = 9
    LOCATION = 10
    PRESSURE = 11
    TEMPERATURE = 12
    OFFLINE_RECORDING = 13
    OFFLINE_HEART_RATE = 14


@dataclass(frozen=True, slots=True)
class PmdStream:
    """One running measurement.

    Attributes:
        rate_hz: the sample rate that was chosen, or None when it is not known.
        factor: FACTOR of the start response, which turns a compressed number into the unit; None when the
            response was not seen or had none.
        previous_ns: device time of the last sample before this frame (ns since 2000), None at the start.

    Raises:
        AdapterError: ``out_of_range`` for a rate or factor that no sensor has.
    """

    rate_hz: float | None = None
    factor: float | None = None
    previous_ns: int | None = None

    def __post_init__(self) -> None:
        if self.rate_hz is not None and not SLOWEST_HZ <= self.rate_hz <= FASTEST_HZ:
            raise AdapterError(f"no sensor samples at {self.rate_hz} Hz", reason="out_of_range")
        if self.factor is not None and not 0 < self.factor <= LARGEST_FACTOR:
            raise AdapterError(f"{self.factor} is no factor of a sensor", reason="out_of_range")
