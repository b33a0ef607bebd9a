"""What a continuous glucose monitor says of itself: its features, and the specimen that glucose is counted in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from edge_twin import codes
from edge_twin.codes import Code


class SampleType(IntEnum):
    """Specimen of a glucose concentration (low nibble of Type-Sample Location in 2A18 and 2AA8)."""

    CAPILLARY_WHOLE_BLOOD = 1
    CAPILLARY_PLASMA = 2
    VENOUS_WHOLE_BLOOD = 3
    VENOUS_PLASMA = 4
    ARTERIAL_WHOLE_BLOOD = 5
    ARTERIAL_PLASMA = 6
    UNDETERMINED_WHOLE_BLOOD = 7
    UNDETERMINED_PLASMA = 8
    INTERSTITIAL_FLUID = 9
    CONTROL_SOLUTION = 10


# Location of the sample (high nibble); 5 occurs in CGM only.
SAMPLE_LOCATIONS = {
    1: "finger",
    2: "alternate_site",
    3: "earlobe",
    4: "control_solution",
    5: "subcutaneous_tissue",
    15: "not_available",
}

_CAPILLARY = (codes.GLUCOSE_CAPILLARY, codes.GLUCOSE_CAPILLARY_MOLAR)
_BLOOD = (codes.GLUCOSE_BLOOD, codes.GLUCOSE_BLOOD_MOLAR)
_PLASMA = (codes.GLUCOSE_PLASMA, codes.GLUCOSE_PLASMA_MOLAR)
_INTERSTITIAL = (codes.GLUCOSE_INTERSTITIAL, codes.GLUCOSE_INTERSTITIAL_MOLAR)
_CODES = {
    SampleType.CAPILLARY_WHOLE_BLOOD: _CAPILLARY,
    SampleType.CAPILLARY_PLASMA: _CAPILLARY,
    SampleType.VENOUS_PLASMA: _PLASMA,
    SampleType.ARTERIAL_PLASMA: _PLASMA,
    SampleType.UNDETERMINED_PLASMA: _PLASMA,
    SampleType.INTERSTITIAL_FLUID: _INTERSTITIAL,
}

# Bits of the CGM Feature field, CGMS 1.0.2 table 3.5.
FEATURES = {
    0: "calibration",
    1: "patient_alerts",
    2: "hypo_alerts",
    3: "hyper_alerts",
    4: "rate_alerts",
    5: "device_specific_alert",
    6: "sensor_malfunction_detection",
    7: "sensor_temperature_detection",
    8: "sensor_result_detection",
    9: "low_battery_detection",
    10: "sensor_type_detection",
    11: "general_device_fault",
    12: "e2e_crc",
    13: "multiple_bonds",
    14: "multiple_sessions",
    15: "trend",
    16: "quality",
}
_E2E_CRC = 1 << 12
_LOW_NIBBLE = 0x0F


@dataclass(frozen=True, slots=True)
class CgmFeature:
    """CGM Feature (2AA8).

    Attributes:
        bits: 24 bits, :data:`FEATURES`.
        type_and_location: specimen in the low nibble, location in the high one.
    """

    bits: int
    type_and_location: int

    @property
    def has_crc(self) -> bool:
        """Whether every value of the service ends with an E2E-CRC."""
        return bool(self.bits & _E2E_CRC)


def sample_remarks(type_and_location: int) -> dict[str, str]:
    """Attributes ``sample_type`` and ``sample_location`` of a Type-Sample Location octet."""
    kind, location = type_and_location & _LOW_NIBBLE, type_and_location >> 4
    known = _sample_type(kind)
    return {
        "sample_type": f"reserved_{kind}" if known is None else known.name.lower(),
        "sample_location": SAMPLE_LOCATIONS.get(location, f"reserved_{location}"),
    }


def is_control_solution(type_and_location: int) -> bool:
    """Whether the specimen is a test solution and not from the patient."""
    return type_and_location & _LOW_NIBBLE == SampleType.CONTROL_SOLUTION or type_and_location >> 4 == 4  # noqa: PLR2004 - SAMPLE_LOCATIONS


def glucose_code(type_and_location: int, *, molar: bool) -> Code:
    """The code of a glucose concentration in this specimen; blood where it is whole blood or not known."""
    known = _sample_type(type_and_location & _LOW_NIBBLE)
    mass, mole = _BLOOD if known is None else _CODES.get(known, _BLOOD)
    return mole if molar else mass


def _sample_type(kind: int) -> SampleType | None:
    try:
        return SampleType(kind)
    except ValueError:
        return None
