"""Which LOINC codes of FHIR Observations are understood, and the exact factor of each unit that may come with them.

A factor is a definition (SI prefixes, pounds, inches, katal), never a molar mass: mass and substance concentrations
have LOINC codes of their own and stay apart. [arb'U] and [IU] of CA-125 and of enzymes are how laboratories write
the same "U"; UCUM itself does not convert between arbitrary units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from edge_twin import codes
from edge_twin.codes import Code
from edge_twin.observation import Origin, Site

Factors = Mapping[str, Decimal | None]


@dataclass(frozen=True, slots=True)
class Kind:
    """How one LOINC code is read.

    Attributes:
        code: what it becomes.
        origin: who says it.
        factors: multiplier to the unit of ``code`` for each accepted UCUM unit; None for °F.
        site: where a temperature of this code was taken.
    """

    code: Code
    origin: Origin
    factors: Factors
    site: Site | None = None


def _factors(**units: str) -> Factors:
    return MappingProxyType({unit: Decimal(factor) for unit, factor in units.items()})


def _same(*units: str, **others: str) -> Factors:
    return _factors(**dict.fromkeys(units, "1"), **others)


_COUNTS = _same("10*9/L", "10*3/uL", **{"10*6/L": "0.001", "/uL": "0.001", "{cells}/uL": "0.001", "/mm3": "0.001"})
_TEMPERATURE: Factors = MappingProxyType({"Cel": Decimal(1), "[degF]": None})
_STEPS = _same(codes.STEPS.unit)
_GRAMS = _same("g/dL", **{"g/L": "0.1"})
_MILLIGRAMS = _same("mg/dL", **{"mg/L": "0.1"})
_NANOGRAMS = _same("ng/mL", "ug/L")
_ENZYME = _same("U/L", "[IU]/L", **{"ukat/L": "60"})
_MONOVALENT = _same("mmol/L", "meq/L")
_PRESSURE = _same("mm[Hg]")
_PERCENT = _same("%")

_LABORATORY: tuple[tuple[Code, Factors, tuple[str, ...]], ...] = (
    (codes.NEUTROPHILS, _COUNTS, ("751-8", "26499-4", "753-4")),  # automated, unspecified, manual count
    (codes.LEUKOCYTES, _COUNTS, ("6690-2", "26464-8", "804-5")),
    (codes.PLATELETS, _COUNTS, ("777-3", "26515-7", "778-1")),
    (codes.LYMPHOCYTES, _COUNTS, ("731-0", "26474-7", "732-8")),
    (codes.MONOCYTES, _COUNTS, ("742-7", "26484-6", "743-5")),
    (codes.HAEMOGLOBIN, _GRAMS, ("718-7",)),
    (codes.CREATININE, _MILLIGRAMS, ("2160-0",)),
    (codes.CREATININE_MOLAR, _same("umol/L", **{"mmol/L": "1000"}), ("14682-9",)),
    (codes.UREA_NITROGEN, _MILLIGRAMS, ("3094-0",)),
    (codes.C_REACTIVE_PROTEIN, _same("mg/L", "ug/mL", **{"mg/dL": "10"}), ("1988-5",)),
    (codes.PROCALCITONIN, _NANOGRAMS, ("33959-8",)),
    (codes.LACTATE, _MONOVALENT, ("2524-7", "32693-4")),  # serum or plasma, blood
    (codes.FERRITIN, _NANOGRAMS, ("2276-4",)),
    (codes.ALANINE_AMINOTRANSFERASE, _ENZYME, ("1742-6",)),
    (codes.ASPARTATE_AMINOTRANSFERASE, _ENZYME, ("1920-8",)),
    (codes.BILIRUBIN, _MILLIGRAMS, ("1975-2",)),
    (codes.ALBUMIN, _GRAMS, ("1751-7",)),
    (codes.LACTATE_DEHYDROGENASE, _ENZYME, ("2532-0",)),
    (codes.SODIUM, _MONOVALENT, ("2951-2",)),
    (codes.POTASSIUM, _MONOVALENT, ("2823-3",)),
    (codes.PROSTATE_SPECIFIC_ANTIGEN, _NANOGRAMS, ("2857-1",)),
    (codes.CANCER_ANTIGEN_125, _same("[arb'U]/mL", "U/mL", "[IU]/mL", "k[arb'U]/L"), ("10334-1",)),
    (codes.CARCINOEMBRYONIC_ANTIGEN, _NANOGRAMS, ("2039-6",)),
    (codes.GLUCOSE_PLASMA, _same("mg/dL"), ("2345-7",)),
    (codes.GLUCOSE_PLASMA_MOLAR, _same("mmol/L"), ("14749-6",)),
)

_CLINICAL: tuple[tuple[Code, Factors, tuple[str, ...]], ...] = (
    (codes.HEART_RATE, _same("/min", "{beats}/min"), ("8867-4",)),
    (codes.RESPIRATORY_RATE, _same("/min", "{breaths}/min"), ("9279-1",)),
    (codes.OXYGEN_SATURATION, _PERCENT, ("59408-5",)),
    (codes.OXYGEN_FLOW, _same("L/min"), ("3151-8",)),
    (codes.SYSTOLIC_PRESSURE, _PRESSURE, ("8480-6",)),
    (codes.DIASTOLIC_PRESSURE, _PRESSURE, ("8462-4",)),
    (codes.BODY_WEIGHT, _same("kg", **{"g": "0.001", "[lb_av]": "0.45359237"}), ("29463-7",)),
    (codes.BODY_HEIGHT, _same("m", **{"cm": "0.01", "[in_i]": "0.0254"}), ("8302-2",)),
    (codes.QTC_INTERVAL, _same("ms", s="1000"), ("8636-3",)),
    (codes.QTC_INTERVAL_FRIDERICIA, _same("ms", s="1000"), ("76634-5",)),
    (codes.LEFT_VENTRICULAR_EJECTION_FRACTION, _PERCENT, ("10230-1",)),
)

KINDS: Mapping[str, Kind] = MappingProxyType(
    {loinc: Kind(code, Origin.LAB, factors) for code, factors, known in _LABORATORY for loinc in known}
    | {loinc: Kind(code, Origin.CLINICIAN, factors) for code, factors, known in _CLINICAL for loinc in known}
    | {
        "8310-5": Kind(codes.BODY_TEMPERATURE, Origin.CLINICIAN, _TEMPERATURE),
        "8331-1": Kind(codes.BODY_TEMPERATURE, Origin.CLINICIAN, _TEMPERATURE, Site.ORAL),
        "55423-8": Kind(codes.STEPS, Origin.DEVICE, _STEPS),
    }
)
"""Every LOINC code that is understood."""
