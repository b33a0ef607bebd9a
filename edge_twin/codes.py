"""The registry of what can be observed: code, UCUM unit, plausible range.

LOINC where a code exists, otherwise ISO/IEEE 11073-10101 (MDC). The plausible range says what can be
a measurement of a living adult at all; it is *not* a clinical threshold. A value outside it is kept
in the store with quality ``IMPLAUSIBLE`` and never used.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CodeSystem(StrEnum):
    """Coding systems as URIs, as FHIR writes them."""

    LOINC = "http://loinc.org"
    MDC = "urn:iso:std:iso:11073:10101"
    LOCAL = "urn:edge-twin:observation"  # neither LOINC nor MDC was found to have a code


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of observation.

    Attributes:
        system: the coding system.
        code: the code within the system.
        name: short snake_case name used in features, reports and summaries.
        unit: UCUM unit of every value under this code.
        low, high: smallest and largest plausible value, inclusive, in ``unit``.
        source: where the range comes from ("assumed" where the project chose it).
    """

    system: CodeSystem
    code: str
    name: str
    unit: str
    low: float
    high: float
    source: str

    def is_plausible(self, value: float) -> bool:
        """Whether ``value`` (in ``unit``) can be a measurement at all; NaN is not."""
        return self.low <= value <= self.high


_REGISTRY = (
    Code(CodeSystem.LOINC, "8867-4", "heart_rate", "/min", 20.0, 300.0, "assumed"),
    # DICOM PS3.16 CID 3689: "RR time period, global" is MDC 2:16000 (2 * 65536 + 16000).
    # Range: cleaning rule of docs/features.md, 300-2000 ms, widened so that artefacts are kept and seen.
    Code(CodeSystem.MDC, "147072", "rr_interval", "ms", 200.0, 4000.0, "assumed"),
    Code(CodeSystem.LOINC, "8310-5", "body_temperature", "Cel", 30.0, 44.0, "assumed"),
    # Above 50 x10^9/L the number is probably cells per mm3 with a wrong unit: hold it and ask.
    Code(CodeSystem.LOINC, "751-8", "absolute_neutrophil_count", "10*9/L", 0.0, 50.0, "assumed"),
    # Far above any consolidation; hyperleukocytosis of acute leukaemia is still plausible.
    Code(CodeSystem.LOINC, "6690-2", "leukocyte_count", "10*9/L", 0.0, 1000.0, "assumed"),
    Code(CodeSystem.LOINC, "55423-8", "steps", "{steps}", 0.0, 100_000.0, "assumed"),
    # Between two pulses in the light of a wrist or arm sensor: not an RR interval of the heart's currents.
    Code(CodeSystem.LOCAL, "pulse-interval", "pulse_interval", "ms", 200.0, 4000.0, "assumed"),
    # Gas sensors (electronic nose) and what some of them make of it.
    Code(CodeSystem.LOCAL, "gas-resistance", "gas_resistance", "Ohm", 1.0, 1e9, "assumed"),
    Code(CodeSystem.LOCAL, "air-quality-index", "air_quality_index", "{index}", 0.0, 500.0, "assumed"),
    Code(CodeSystem.LOCAL, "voc-mass-concentration", "voc_mass_concentration", "ug/m3", 0.0, 65_535.0, "assumed"),
)

# What is sampled many times a second. The range is the sensor's, not a person's.
_WAVEFORMS = (
    Code(CodeSystem.MDC, "131328", "ecg", "uV", -8_388_608.0, 8_388_607.0, "24-bit sample of Polar PMD"),
    Code(CodeSystem.MDC, "150452", "photoplethysmogram", "{count}", -8_388_608.0, 8_388_607.0, "as above"),
    Code(CodeSystem.LOCAL, "acceleration", "acceleration", "m[g]", -32_768.0, 32_767.0, "assumed"),
    Code(CodeSystem.LOCAL, "angular-velocity", "angular_velocity", "deg/s", -4000.0, 4000.0, "assumed"),
    Code(CodeSystem.LOCAL, "magnetic-field", "magnetic_field", "G", -100.0, 100.0, "assumed"),
    Code(CodeSystem.LOINC, "39106-0", "skin_temperature", "Cel", 0.0, 60.0, "assumed"),
    Code(CodeSystem.LOCAL, "device-temperature", "device_temperature", "Cel", -40.0, 100.0, "assumed"),
    Code(CodeSystem.LOCAL, "device-pressure", "device_pressure", "bar", 0.0, 20.0, "assumed"),
)

_BY_NAME = {code.name: code for code in _REGISTRY}
_BY_CODE = {(code.system, code.code): code for code in _REGISTRY}

HEART_RATE = _BY_NAME["heart_rate"]
RR_INTERVAL = _BY_NAME["rr_interval"]
BODY_TEMPERATURE = _BY_NAME["body_temperature"]
NEUTROPHILS = _BY_NAME["absolute_neutrophil_count"]
LEUKOCYTES = _BY_NAME["leukocyte_count"]
STEPS = _BY_NAME["steps"]
PULSE_INTERVAL = _BY_NAME["pulse_interval"]
GAS_RESISTANCE = _BY_NAME["gas_resistance"]
AIR_QUALITY_INDEX = _BY_NAME["air_quality_index"]
VOC_MASS_CONCENTRATION = _BY_NAME["voc_mass_concentration"]

_WAVEFORM_BY_NAME = {code.name: code for code in _WAVEFORMS}

ECG = _WAVEFORM_BY_NAME["ecg"]
PHOTOPLETHYSMOGRAM = _WAVEFORM_BY_NAME["photoplethysmogram"]
ACCELERATION = _WAVEFORM_BY_NAME["acceleration"]
ANGULAR_VELOCITY = _WAVEFORM_BY_NAME["angular_velocity"]
MAGNETIC_FIELD = _WAVEFORM_BY_NAME["magnetic_field"]
SKIN_TEMPERATURE = _WAVEFORM_BY_NAME["skin_temperature"]
DEVICE_TEMPERATURE = _WAVEFORM_BY_NAME["device_temperature"]
DEVICE_PRESSURE = _WAVEFORM_BY_NAME["device_pressure"]


def names() -> tuple[str, ...]:
    """Short names of everything that can be observed."""
    return tuple(_BY_NAME)


def by_name(name: str) -> Code | None:
    """The code with this short name, or None."""
    return _BY_NAME.get(name)


def waveform_by_name(name: str) -> Code | None:
    """The code of a waveform with this short name, or None; a waveform is never a single observation."""
    return _WAVEFORM_BY_NAME.get(name)


def by_code(system: str, code: str) -> Code | None:
    """The code with this system URI and code, or None."""
    try:
        return _BY_CODE.get((CodeSystem(system), code))
    except ValueError:
        return None
