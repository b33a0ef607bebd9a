"""The sample layouts of Polar PMD data frames, by measurement, compression and frame type.

Source: polar-ble-sdk, ``AccData.kt``, ``EcgData.kt``, ``GyrData.kt``, ``MagData.kt``, ``PpgData.kt``,
``SkinTemperatureData.kt``, ``TemperatureData.kt``. Left out, and refused when they come: pressure, which the
SDK calls bar while its own test frames hold 1004.6 and 1028.2;
ECG types 1 to 3, whose signs and second channel the SDK does not explain; PPG types 4, 5, 6 and 9, which are
settings of the light source and no samples; location, which the twin has no use for and a patient may not
want to share; offline heart rate, which only stands in files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edge_twin.codes import (
    ACCELERATION,
    ANGULAR_VELOCITY,
    DEVICE_TEMPERATURE,
    ECG,
    MAGNETIC_FIELD,
    PHOTOPLETHYSMOGRAM,
    SKIN_TEMPERATURE,
    Code,
)
from edge_twin_adapters.ble.polar_stream import Measurement

STATUS = "status"  # name of a channel with the device's status word


@dataclass(frozen=True, slots=True)
class Layout:
    """How the content of a data frame is made.

    Attributes:
        code: what it measures.
        channels: in their order; the last one may be ``status``, an unscaled word of the device.
        width: bytes of a number, in the reference sample when compressed.
        scale, divisor: what turns a number, times FACTOR, into the code's unit; two numbers, so that a
            thousandth is not rounded twice.
        is_float: numbers are IEEE 754 single precision.
        factor_required: without FACTOR the number means nothing; else FACTOR is 1 unless it is known.
        usual_rate_hz: rate of the commonest setting, for a frame of which no rate is known (assumed).
    """

    code: Code
    channels: tuple[str, ...]
    width: int
    usual_rate_hz: float
    scale: float = 1.0
    divisor: float = 1.0
    is_float: bool = False
    factor_required: bool = False

    @property
    def has_status(self) -> bool:
        """Whether the last channel is a status word."""
        return self.channels[-1] == STATUS


_AXES = ("x", "y", "z")
_ONE = ("value",)


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}{index}" for index in range(count))


_LIGHT = (*_numbered("ppg", 3), "ambient")
_COLOURS = (*_numbered("green", 8), *_numbered("red", 6), *_numbered("infrared", 6), STATUS)

# Rates: H10 ECG 130 Hz; Verity Sense ACC and gyroscope 52, magnetometer 20, PPG 55 (assumed usual choices).
LAYOUTS: Mapping[tuple[Measurement, bool, int], Layout] = MappingProxyType(
    {
        (Measurement.ECG, False, 0): Layout(ECG, _ONE, 3, 130.0),
        (Measurement.ACC, False, 0): Layout(ACCELERATION, _AXES, 1, 52.0),
        (Measurement.ACC, False, 1): Layout(ACCELERATION, _AXES, 2, 52.0),
        (Measurement.ACC, False, 2): Layout(ACCELERATION, _AXES, 3, 52.0),
        (Measurement.ACC, True, 0): Layout(ACCELERATION, _AXES, 2, 52.0, scale=1000.0, factor_required=True),
        (Measurement.ACC, True, 1): Layout(ACCELERATION, _AXES, 2, 52.0),
        (Measurement.PPG, False, 0): Layout(PHOTOPLETHYSMOGRAM, _LIGHT, 3, 55.0),
        (Measurement.PPG, True, 0): Layout(PHOTOPLETHYSMOGRAM, _LIGHT, 3, 55.0),
        (Measurement.PPG, True, 7): Layout(PHOTOPLETHYSMOGRAM, (*_numbered("ppg", 16), STATUS), 3, 55.0),
        (Measurement.PPG, True, 8): Layout(PHOTOPLETHYSMOGRAM, (*_numbered("ppg", 24), STATUS), 3, 55.0),
        (Measurement.PPG, True, 10): Layout(PHOTOPLETHYSMOGRAM, _COLOURS, 3, 55.0),
        (Measurement.GYRO, True, 0): Layout(ANGULAR_VELOCITY, _AXES, 2, 52.0, factor_required=True),
        (Measurement.GYRO, True, 1): Layout(ANGULAR_VELOCITY, _AXES, 4, 52.0, is_float=True),
        (Measurement.MAGNETOMETER, True, 0): Layout(MAGNETIC_FIELD, _AXES, 2, 20.0, factor_required=True),
        (Measurement.MAGNETOMETER, True, 1): Layout(MAGNETIC_FIELD, (*_AXES, STATUS), 2, 20.0, divisor=1000.0),
        (Measurement.SKIN_TEMPERATURE, False, 0): Layout(SKIN_TEMPERATURE, _ONE, 4, 1.0, is_float=True),
        (Measurement.SKIN_TEMPERATURE, True, 0): Layout(SKIN_TEMPERATURE, _ONE, 4, 1.0, is_float=True),
        (Measurement.TEMPERATURE, False, 0): Layout(DEVICE_TEMPERATURE, _ONE, 4, 1.0, is_float=True),
        (Measurement.TEMPERATURE, True, 0): Layout(DEVICE_TEMPERATURE, _ONE, 4, 1.0, is_float=True),
    }
)
