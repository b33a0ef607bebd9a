"""What to do with each kind of device, as data: what to read, subscribe to, fetch from storage and start.

A profile is chosen by the site, not guessed from the advertisement: a strap that also counts steps is
still used as a strap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edge_twin_adapters.ble import (
    battery,
    blood_pressure,
    cgm,
    cgm_session,
    device_information,
    environment,
    glucose,
    glucose_context,
    heart_rate,
    oximeter,
    polar,
    polar_control,
    record_access,
    running,
    scales,
    thermometer,
)
from edge_twin_adapters.ble.polar_control import Setting
from edge_twin_adapters.ble.polar_stream import Measurement


@dataclass(frozen=True, slots=True)
class Stored:
    """What a device keeps until it is asked through Record Access Control Point (2A52).

    Attributes:
        measurement: the characteristic that its records come by.
        numbered: whether records have a number (sequence, minutes of the session) to resume from; without
            one all are asked for each time, and duplicates are removed.
        epoch: a characteristic whose value says which count the numbers belong to (the session start of a
            CGM); the numbers start anew when it changes.
        every_s: also ask so often while the link lasts; None asks after connecting only.
    """

    measurement: str
    numbered: bool = True
    epoch: str | None = None
    every_s: float | None = None


@dataclass(frozen=True, slots=True)
class PolarStart:
    """A Polar measurement to start after connecting and to stop before leaving.

    Attributes:
        measurement: what to start.
        settings: the settings to ask for, in the order in which they are sent.
    """

    measurement: Measurement
    settings: tuple[tuple[Setting, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """What to do with a device.

    Attributes:
        name: for people.
        required: without one of these the device is of no use and the connection counts as failed.
        optional: subscribed to, and read once after connecting, where the device has them.
        silence_s: a link on which nothing came for so long is closed and made anew; None for a device
            that is silent by nature.
        reads: read before anything is subscribed to, where the device has them: what the decoders of the
            other values must know.
        stored: records that wait in the device.
        polar: Polar measurements to start.
        protected: a characteristic that this device lets read only over an encrypted link, to prove that it is
            one; where none is known a subscription that was refused once proves it as well.
    """

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    silence_s: float | None = None
    reads: tuple[str, ...] = ()
    stored: Stored | None = None
    polar: tuple[PolarStart, ...] = ()
    protected: str | None = None


_BATTERY = (battery.CHARACTERISTIC,)
_ABOUT = tuple(device_information.DECODERS)

# A strap sends once a second. Links that are up but deliver nothing for hours are a common field
# complaint (Gadgetbridge #1162, #1295); 90 s is habluetooth's limit for a silent scanner.
_SILENCE_S = 90.0

CHEST_STRAP = Profile("chest strap", (heart_rate.CHARACTERISTIC,), _BATTERY, silence_s=_SILENCE_S)
THERMOMETER = Profile("thermometer", (thermometer.CHARACTERISTIC,), _BATTERY, reads=(thermometer.TEMPERATURE_TYPE,))
OXIMETER = Profile("oximeter", (oximeter.CONTINUOUS,), _BATTERY, silence_s=_SILENCE_S, reads=_ABOUT)
SPOT_OXIMETER = Profile(
    "spot-check oximeter",
    (oximeter.SPOT_CHECK,),
    _BATTERY,
    reads=_ABOUT,
    stored=Stored(oximeter.SPOT_CHECK, numbered=False),
)
CUFF = Profile(
    "blood pressure cuff",
    (blood_pressure.MEASUREMENT,),
    (blood_pressure.INTERMEDIATE_CUFF, *_BATTERY),
    reads=_ABOUT,
)
SCALE = Profile("scale", (scales.WEIGHT,), (scales.BODY_COMPOSITION, *_BATTERY), reads=_ABOUT)
BODY_COMPOSITION = Profile("body composition scale", (scales.BODY_COMPOSITION,), _BATTERY, reads=_ABOUT)
GLUCOSE_METER = Profile(
    "glucose meter",
    (glucose.CHARACTERISTIC, record_access.CHARACTERISTIC),
    (glucose_context.CHARACTERISTIC, *_BATTERY),
    reads=_ABOUT,
    stored=Stored(glucose.CHARACTERISTIC),
)
# A notification that was lost comes with the next hourly request [A].
GLUCOSE_SENSOR = Profile(
    "glucose sensor",
    (cgm.CHARACTERISTIC,),
    _BATTERY,
    reads=(
        cgm_session.FEATURE,
        cgm_session.SESSION_START,
        cgm_session.STATUS_CHARACTERISTIC,
        cgm_session.SESSION_RUN_TIME,
        *_ABOUT,
    ),
    stored=Stored(cgm.CHARACTERISTIC, epoch=cgm_session.SESSION_START, every_s=3600.0),
)
RUNNING_SENSOR = Profile("running sensor", (running.CHARACTERISTIC,), _BATTERY, silence_s=_SILENCE_S, reads=_ABOUT)
ROOM_SENSOR = Profile("room sensor", (), (*environment.DECODERS, *_BATTERY), reads=_ABOUT)

# The rates that an H10 offers; ECG 130 Hz 14 bit is the start command in Polar's own documentation [P].
ECG_130_HZ = PolarStart(Measurement.ECG, ((Setting.SAMPLE_RATE, 130), (Setting.RESOLUTION, 14)))
ACC_50_HZ = PolarStart(Measurement.ACC, ((Setting.SAMPLE_RATE, 50), (Setting.RESOLUTION, 16), (Setting.RANGE, 8)))
_POLAR_REQUIRED = (heart_rate.CHARACTERISTIC, polar_control.CHARACTERISTIC, polar.CHARACTERISTIC)
POLAR_STRAP = Profile(
    "Polar strap with ECG and accelerometer",
    _POLAR_REQUIRED,
    _BATTERY,
    silence_s=_SILENCE_S,
    reads=_ABOUT,
    polar=(ECG_130_HZ, ACC_50_HZ),
)
POLAR_ARM_BAND = Profile(
    "Polar optical arm band with pulse intervals",
    _POLAR_REQUIRED,
    _BATTERY,
    silence_s=_SILENCE_S,
    reads=_ABOUT,
    polar=(PolarStart(Measurement.PPI),),
)

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "chest_strap": CHEST_STRAP,
        "thermometer": THERMOMETER,
        "oximeter": OXIMETER,
        "spot_oximeter": SPOT_OXIMETER,
        "cuff": CUFF,
        "scale": SCALE,
        "body_composition": BODY_COMPOSITION,
        "glucose_meter": GLUCOSE_METER,
        "glucose_sensor": GLUCOSE_SENSOR,
        "running_sensor": RUNNING_SENSOR,
        "room_sensor": ROOM_SENSOR,
        "polar_strap": POLAR_STRAP,
        "polar_arm_band": POLAR_ARM_BAND,
    }
)
"""The profiles by the name that settings use."""
