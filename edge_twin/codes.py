"""The registry of what can be observed: code, UCUM unit, plausible range.

LOINC where a code exists, otherwise ISO/IEEE 11073-10101 (MDC; a code is partition * 65536 + term),
otherwise a code of this project. The plausible range says what can be
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
    # Oximeter. Below 40 % no adult is awake to wear one; above 100 % is not a saturation.
    Code(CodeSystem.LOINC, "59408-5", "oxygen_saturation", "%", 40.0, 100.0, "assumed"),
    Code(CodeSystem.LOINC, "8889-8", "pulse_rate", "/min", 20.0, 300.0, "assumed"),
    Code(CodeSystem.LOINC, "61006-3", "perfusion_index", "%", 0.0, 100.0, "assumed"),
    # Cuff. MDC 2:18474 (pulse rate, non-invasive) and 2:19228 (cuff pressure while it deflates).
    Code(CodeSystem.LOINC, "8480-6", "systolic_pressure", "mm[Hg]", 40.0, 300.0, "assumed"),
    Code(CodeSystem.LOINC, "8462-4", "diastolic_pressure", "mm[Hg]", 20.0, 200.0, "assumed"),
    Code(CodeSystem.LOINC, "8478-0", "mean_arterial_pressure", "mm[Hg]", 25.0, 250.0, "assumed"),
    Code(CodeSystem.MDC, "149546", "pulse_rate_cuff", "/min", 20.0, 300.0, "assumed"),
    Code(CodeSystem.MDC, "150300", "cuff_pressure", "mm[Hg]", 0.0, 350.0, "assumed"),
    # Scales. MDC 2:57684 to 2:57708.
    Code(CodeSystem.LOINC, "29463-7", "body_weight", "kg", 20.0, 400.0, "assumed"),
    Code(CodeSystem.LOINC, "39156-5", "body_mass_index", "kg/m2", 8.0, 100.0, "assumed"),
    Code(CodeSystem.LOINC, "8302-2", "body_height", "m", 1.0, 2.6, "assumed"),
    Code(CodeSystem.LOINC, "41982-0", "body_fat", "%", 1.0, 80.0, "assumed"),
    Code(CodeSystem.MDC, "188756", "fat_free_mass", "kg", 10.0, 200.0, "assumed"),
    Code(CodeSystem.MDC, "188760", "soft_lean_mass", "kg", 10.0, 200.0, "assumed"),
    Code(CodeSystem.MDC, "188764", "body_water_mass", "kg", 5.0, 200.0, "assumed"),
    Code(CodeSystem.MDC, "188768", "basal_metabolism", "kJ", 1000.0, 30_000.0, "assumed"),
    Code(CodeSystem.MDC, "188772", "muscle_percentage", "%", 1.0, 90.0, "assumed"),
    Code(CodeSystem.LOINC, "73964-9", "muscle_mass", "kg", 5.0, 200.0, "assumed"),
    Code(CodeSystem.MDC, "188780", "body_impedance", "Ohm", 50.0, 6000.0, "assumed"),
    # Glucose, by specimen and by what the meter counts; the two ranges are the same concentrations.
    Code(CodeSystem.LOINC, "41653-7", "glucose_capillary", "mg/dL", 10.0, 1500.0, "assumed"),
    Code(CodeSystem.LOINC, "14743-9", "glucose_capillary_molar", "mmol/L", 0.5, 85.0, "assumed"),
    Code(CodeSystem.LOINC, "2339-0", "glucose_blood", "mg/dL", 10.0, 1500.0, "assumed"),
    Code(CodeSystem.LOINC, "15074-8", "glucose_blood_molar", "mmol/L", 0.5, 85.0, "assumed"),
    Code(CodeSystem.LOINC, "2345-7", "glucose_plasma", "mg/dL", 10.0, 1500.0, "assumed"),
    Code(CodeSystem.LOINC, "14749-6", "glucose_plasma_molar", "mmol/L", 0.5, 85.0, "assumed"),
    Code(CodeSystem.LOINC, "99504-3", "glucose_interstitial", "mg/dL", 10.0, 1500.0, "assumed"),
    Code(CodeSystem.LOINC, "105272-9", "glucose_interstitial_molar", "mmol/L", 0.5, 85.0, "assumed"),
    # Running pod. MDC 129:103 to 129:117.
    Code(CodeSystem.MDC, "8454254", "speed", "m/s", 0.0, 15.0, "assumed"),
    Code(CodeSystem.MDC, "8454255", "cadence", "/min", 0.0, 254.0, "assumed"),
    Code(CodeSystem.MDC, "8454261", "stride_length", "m", 0.0, 4.0, "assumed"),
    Code(CodeSystem.MDC, "8454247", "distance", "m", 0.0, 100_000_000.0, "assumed"),
    # The air around the patient. LOINC 60832-3 is "Room temperature".
    Code(CodeSystem.LOINC, "60832-3", "ambient_temperature", "Cel", -40.0, 85.0, "assumed"),
    Code(CodeSystem.LOCAL, "relative-humidity", "relative_humidity", "%", 0.0, 100.0, "assumed"),
    Code(CodeSystem.LOCAL, "air-pressure", "air_pressure", "Pa", 30_000.0, 110_000.0, "assumed"),
    Code(CodeSystem.LOCAL, "voc-concentration", "voc_concentration", "[ppb]", 0.0, 65_534.0, "assumed"),
    Code(CodeSystem.LOCAL, "co2-concentration", "co2_concentration", "[ppm]", 0.0, 65_534.0, "assumed"),
    # MDC 1:2460, remaining battery charge.
    Code(CodeSystem.MDC, "67996", "battery_level", "%", 0.0, 100.0, "assumed"),
    # Between two pulses in the light of a wrist or arm sensor: not an RR interval of the heart's currents.
    Code(CodeSystem.LOCAL, "pulse-interval", "pulse_interval", "ms", 200.0, 4000.0, "assumed"),
    # Gas sensors (electronic nose) and what some of them make of it.
    Code(CodeSystem.LOCAL, "gas-resistance", "gas_resistance", "Ohm", 1.0, 1e9, "assumed"),
    Code(CodeSystem.LOCAL, "air-quality-index", "air_quality_index", "{index}", 0.0, 500.0, "assumed"),
    Code(CodeSystem.LOCAL, "voc-mass-concentration", "voc_mass_concentration", "ug/m3", 0.0, 65_535.0, "assumed"),
    # One minute of acceleration (features/motion.py, docs/features-streams.md). Ranges: largest of a 16 g sensor.
    Code(CodeSystem.LOCAL, "motion-enmo", "motion_enmo", "m[g]", 0.0, 27_000.0, "assumed"),
    Code(CodeSystem.LOCAL, "motion-angle", "motion_angle", "deg", -90.0, 90.0, "definition"),
    Code(CodeSystem.LOCAL, "motion-spread", "motion_spread", "m[g]", 0.0, 16_000.0, "assumed"),
    Code(CodeSystem.LOCAL, "motion-respiration", "motion_respiration", "/min", 4.0, 60.0, "assumed"),
    # Vital signs that a person or a monitor reports beside those of the wearables.
    Code(CodeSystem.LOINC, "9279-1", "respiratory_rate", "/min", 2.0, 80.0, "assumed"),
    Code(CodeSystem.LOINC, "3151-8", "oxygen_flow", "L/min", 0.0, 70.0, "assumed"),
    # ACVPU as NEWS2 names it: 0 alert, 1 new confusion, 2 voice, 3 pain, 4 unresponsive.
    Code(CodeSystem.LOCAL, "consciousness-acvpu", "consciousness", "{score}", 0.0, 4.0, "definition"),
    # Electrocardiogram. 8636-3 does not say which correction was used; 76634-5 is Fridericia's.
    Code(CodeSystem.LOINC, "8636-3", "qtc_interval", "ms", 200.0, 900.0, "assumed"),
    Code(CodeSystem.LOINC, "76634-5", "qtc_interval_fridericia", "ms", 200.0, 900.0, "assumed"),
    Code(CodeSystem.LOINC, "10230-1", "left_ventricular_ejection_fraction", "%", 5.0, 90.0, "assumed"),
)

# What a laboratory measures in blood, serum or plasma.
_LABORATORY = (
    Code(CodeSystem.LOINC, "777-3", "platelets", "10*9/L", 0.0, 3000.0, "assumed"),
    Code(CodeSystem.LOINC, "718-7", "haemoglobin", "g/dL", 1.0, 25.0, "assumed"),
    Code(CodeSystem.LOINC, "731-0", "lymphocyte_count", "10*9/L", 0.0, 1000.0, "assumed"),
    Code(CodeSystem.LOINC, "742-7", "monocyte_count", "10*9/L", 0.0, 500.0, "assumed"),
    Code(CodeSystem.LOINC, "2160-0", "creatinine", "mg/dL", 0.05, 30.0, "assumed"),
    Code(CodeSystem.LOINC, "14682-9", "creatinine_molar", "umol/L", 4.0, 2700.0, "assumed"),
    Code(CodeSystem.LOINC, "3094-0", "urea_nitrogen", "mg/dL", 0.5, 300.0, "assumed"),
    Code(CodeSystem.LOINC, "1988-5", "c_reactive_protein", "mg/L", 0.0, 1000.0, "assumed"),
    Code(CodeSystem.LOINC, "33959-8", "procalcitonin", "ng/mL", 0.0, 1000.0, "assumed"),
    Code(CodeSystem.LOINC, "2524-7", "lactate", "mmol/L", 0.1, 40.0, "assumed"),
    Code(CodeSystem.LOINC, "2276-4", "ferritin", "ng/mL", 0.0, 1_000_000.0, "assumed"),
    Code(CodeSystem.LOINC, "1742-6", "alanine_aminotransferase", "U/L", 0.0, 50_000.0, "assumed"),
    Code(CodeSystem.LOINC, "1920-8", "aspartate_aminotransferase", "U/L", 0.0, 50_000.0, "assumed"),
    Code(CodeSystem.LOINC, "1975-2", "bilirubin", "mg/dL", 0.0, 80.0, "assumed"),
    Code(CodeSystem.LOINC, "1751-7", "albumin", "g/dL", 0.5, 8.0, "assumed"),
    Code(CodeSystem.LOINC, "2532-0", "lactate_dehydrogenase", "U/L", 10.0, 50_000.0, "assumed"),
    Code(CodeSystem.LOINC, "2951-2", "sodium", "mmol/L", 90.0, 200.0, "assumed"),
    Code(CodeSystem.LOINC, "2823-3", "potassium", "mmol/L", 1.0, 12.0, "assumed"),
    Code(CodeSystem.LOINC, "2857-1", "prostate_specific_antigen", "ng/mL", 0.0, 100_000.0, "assumed"),
    Code(CodeSystem.LOINC, "10334-1", "cancer_antigen_125", "[arb'U]/mL", 0.0, 1_000_000.0, "assumed"),
    Code(CodeSystem.LOINC, "2039-6", "carcinoembryonic_antigen", "ng/mL", 0.0, 1_000_000.0, "assumed"),
    # Circulating tumour DNA as a share of all cell-free DNA; LOINC's terms name single variants.
    Code(CodeSystem.LOCAL, "ctdna-fraction", "ctdna_fraction", "1", 0.0, 1.0, "definition"),
)

# The patient's own diary (not PRO-CTCAE): 0 none to 10 worst imaginable, and counts since the last entry of the day.
_DIARY = (
    *(
        Code(CodeSystem.LOCAL, f"diary-{name.replace('_', '-')}", f"diary_{name}", "{score}", 0.0, 10.0, "definition")
        for name in (
            "pain", "nausea", "vomiting", "diarrhoea", "constipation", "fatigue", "breathlessness", "cough",
            "mouth_sores", "appetite_loss", "numbness", "chills", "dizziness", "confusion", "low_mood",
        )
    ),
    Code(CodeSystem.LOCAL, "diary-stools", "diary_stools", "{count}", 0.0, 60.0, "assumed"),
    Code(CodeSystem.LOCAL, "diary-vomiting-episodes", "diary_vomiting_episodes", "{count}", 0.0, 60.0, "assumed"),
)  # fmt: skip

# More of the diary, then the weekly form of a lung follow-up (0 none to 3 major; 0 no and 1 yes for a sign).
_FORMS = (
    *(
        Code(CodeSystem.LOCAL, f"diary-{name.replace('_', '-')}", f"diary_{name}", "{score}", 0.0, high, "definition")
        for name, high in (
            ("sleepiness", 10.0), ("fever_feeling", 10.0),
            ("lung_fatigue", 3.0), ("lung_pain", 3.0), ("lung_appetite_loss", 3.0), ("lung_cough", 3.0),
            ("lung_breathlessness", 3.0), ("lung_low_mood", 3.0), ("lung_fever", 1.0), ("lung_face_swelling", 1.0),
            ("lung_voice_change", 1.0), ("lung_lump", 1.0), ("lung_blood_in_sputum", 1.0),
        )
    ),
    # Answers of a questionnaire that a site installed; its attributes name instrument, version, term and language.
    *(
        Code(CodeSystem.LOCAL, f"survey-{name}", f"survey_{name}", "{score}", 0.0, high, "definition")
        for name, high in (
            ("frequency", 4.0), ("severity", 4.0), ("interference", 4.0), ("amount", 4.0), ("presence", 1.0),
        )
    ),
)  # fmt: skip

# What was measured in images elsewhere; the value is taken as it comes, its uncertainty in an attribute.
_IMAGING = (
    Code(CodeSystem.LOCAL, "imaging-diameter-sum", "imaging_diameter_sum", "mm", 0.0, 3000.0, "assumed"),
    Code(CodeSystem.LOCAL, "imaging-tumour-volume", "imaging_tumour_volume", "mL", 0.0, 50_000.0, "assumed"),
    # Sum of the products of perpendicular diameters.
    Code(CodeSystem.LOCAL, "imaging-lesion-product", "imaging_lesion_product", "mm2", 0.0, 500_000.0, "assumed"),
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
)

_ALL = (*_REGISTRY, *_LABORATORY, *_DIARY, *_FORMS, *_IMAGING)
_BY_NAME = {code.name: code for code in _ALL}
_BY_CODE = {(code.system, code.code): code for code in _ALL}

HEART_RATE = _BY_NAME["heart_rate"]
RR_INTERVAL = _BY_NAME["rr_interval"]
BODY_TEMPERATURE = _BY_NAME["body_temperature"]
NEUTROPHILS = _BY_NAME["absolute_neutrophil_count"]
LEUKOCYTES = _BY_NAME["leukocyte_count"]
STEPS = _BY_NAME["steps"]
OXYGEN_SATURATION = _BY_NAME["oxygen_saturation"]
PULSE_RATE = _BY_NAME["pulse_rate"]
PERFUSION_INDEX = _BY_NAME["perfusion_index"]
SYSTOLIC_PRESSURE = _BY_NAME["systolic_pressure"]
DIASTOLIC_PRESSURE = _BY_NAME["diastolic_pressure"]
MEAN_ARTERIAL_PRESSURE = _BY_NAME["mean_arterial_pressure"]
PULSE_RATE_CUFF = _BY_NAME["pulse_rate_cuff"]
CUFF_PRESSURE = _BY_NAME["cuff_pressure"]
BODY_WEIGHT = _BY_NAME["body_weight"]
BODY_MASS_INDEX = _BY_NAME["body_mass_index"]
BODY_HEIGHT = _BY_NAME["body_height"]
BODY_FAT = _BY_NAME["body_fat"]
FAT_FREE_MASS = _BY_NAME["fat_free_mass"]
SOFT_LEAN_MASS = _BY_NAME["soft_lean_mass"]
BODY_WATER_MASS = _BY_NAME["body_water_mass"]
BASAL_METABOLISM = _BY_NAME["basal_metabolism"]
MUSCLE_PERCENTAGE = _BY_NAME["muscle_percentage"]
MUSCLE_MASS = _BY_NAME["muscle_mass"]
BODY_IMPEDANCE = _BY_NAME["body_impedance"]
GLUCOSE_CAPILLARY = _BY_NAME["glucose_capillary"]
GLUCOSE_CAPILLARY_MOLAR = _BY_NAME["glucose_capillary_molar"]
GLUCOSE_BLOOD = _BY_NAME["glucose_blood"]
GLUCOSE_BLOOD_MOLAR = _BY_NAME["glucose_blood_molar"]
GLUCOSE_PLASMA = _BY_NAME["glucose_plasma"]
GLUCOSE_PLASMA_MOLAR = _BY_NAME["glucose_plasma_molar"]
GLUCOSE_INTERSTITIAL = _BY_NAME["glucose_interstitial"]
GLUCOSE_INTERSTITIAL_MOLAR = _BY_NAME["glucose_interstitial_molar"]
SPEED = _BY_NAME["speed"]
CADENCE = _BY_NAME["cadence"]
STRIDE_LENGTH = _BY_NAME["stride_length"]
DISTANCE = _BY_NAME["distance"]
AMBIENT_TEMPERATURE = _BY_NAME["ambient_temperature"]
RELATIVE_HUMIDITY = _BY_NAME["relative_humidity"]
AIR_PRESSURE = _BY_NAME["air_pressure"]
VOC_CONCENTRATION = _BY_NAME["voc_concentration"]
CO2_CONCENTRATION = _BY_NAME["co2_concentration"]
BATTERY_LEVEL = _BY_NAME["battery_level"]
PULSE_INTERVAL = _BY_NAME["pulse_interval"]
GAS_RESISTANCE = _BY_NAME["gas_resistance"]
AIR_QUALITY_INDEX = _BY_NAME["air_quality_index"]
VOC_MASS_CONCENTRATION = _BY_NAME["voc_mass_concentration"]
MOTION_ENMO = _BY_NAME["motion_enmo"]
MOTION_ANGLE = _BY_NAME["motion_angle"]
MOTION_SPREAD = _BY_NAME["motion_spread"]
MOTION_RESPIRATION = _BY_NAME["motion_respiration"]
RESPIRATORY_RATE = _BY_NAME["respiratory_rate"]
OXYGEN_FLOW = _BY_NAME["oxygen_flow"]
CONSCIOUSNESS = _BY_NAME["consciousness"]
QTC_INTERVAL = _BY_NAME["qtc_interval"]
QTC_INTERVAL_FRIDERICIA = _BY_NAME["qtc_interval_fridericia"]
LEFT_VENTRICULAR_EJECTION_FRACTION = _BY_NAME["left_ventricular_ejection_fraction"]
PLATELETS = _BY_NAME["platelets"]
HAEMOGLOBIN = _BY_NAME["haemoglobin"]
LYMPHOCYTES = _BY_NAME["lymphocyte_count"]
MONOCYTES = _BY_NAME["monocyte_count"]
CREATININE = _BY_NAME["creatinine"]
CREATININE_MOLAR = _BY_NAME["creatinine_molar"]
UREA_NITROGEN = _BY_NAME["urea_nitrogen"]
C_REACTIVE_PROTEIN = _BY_NAME["c_reactive_protein"]
PROCALCITONIN = _BY_NAME["procalcitonin"]
LACTATE = _BY_NAME["lactate"]
FERRITIN = _BY_NAME["ferritin"]
ALANINE_AMINOTRANSFERASE = _BY_NAME["alanine_aminotransferase"]
ASPARTATE_AMINOTRANSFERASE = _BY_NAME["aspartate_aminotransferase"]
BILIRUBIN = _BY_NAME["bilirubin"]
ALBUMIN = _BY_NAME["albumin"]
LACTATE_DEHYDROGENASE = _BY_NAME["lactate_dehydrogenase"]
SODIUM = _BY_NAME["sodium"]
POTASSIUM = _BY_NAME["potassium"]
PROSTATE_SPECIFIC_ANTIGEN = _BY_NAME["prostate_specific_antigen"]
CANCER_ANTIGEN_125 = _BY_NAME["cancer_antigen_125"]
CARCINOEMBRYONIC_ANTIGEN = _BY_NAME["carcinoembryonic_antigen"]
CTDNA_FRACTION = _BY_NAME["ctdna_fraction"]
DIARY_STOOLS = _BY_NAME["diary_stools"]

LABORATORY = (NEUTROPHILS, LEUKOCYTES, *_LABORATORY)
"""Everything that a laboratory measures in blood, serum or plasma, but glucose."""

DIARY_PREFIX, IMAGING_PREFIX = "diary_", "imaging_"
IMAGING_DIAMETER_SUM = _BY_NAME["imaging_diameter_sum"]
IMAGING_LESION_PRODUCT = _BY_NAME["imaging_lesion_product"]
SURVEY_PREFIX = "survey_"

DIARY = tuple(code for code in _ALL if code.name.startswith(DIARY_PREFIX))
"""Items of our own diary, daily and weekly."""

SURVEY = tuple(code for code in _ALL if code.name.startswith(SURVEY_PREFIX))
"""Attributes of a questionnaire that a site installed."""

MARKERS = (
    PROSTATE_SPECIFIC_ANTIGEN,
    CANCER_ANTIGEN_125,
    CARCINOEMBRYONIC_ANTIGEN,
    CTDNA_FRACTION,
    IMAGING_DIAMETER_SUM,
    IMAGING_LESION_PRODUCT,
)
"""What is compared with its lowest value on record."""

_WAVEFORM_BY_NAME = {code.name: code for code in _WAVEFORMS}

ECG = _WAVEFORM_BY_NAME["ecg"]
PHOTOPLETHYSMOGRAM = _WAVEFORM_BY_NAME["photoplethysmogram"]
ACCELERATION = _WAVEFORM_BY_NAME["acceleration"]
ANGULAR_VELOCITY = _WAVEFORM_BY_NAME["angular_velocity"]
MAGNETIC_FIELD = _WAVEFORM_BY_NAME["magnetic_field"]
SKIN_TEMPERATURE = _WAVEFORM_BY_NAME["skin_temperature"]
DEVICE_TEMPERATURE = _WAVEFORM_BY_NAME["device_temperature"]


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
