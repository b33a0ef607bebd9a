"""Scores for a clinician's screen, from what a clinician entered: ASTCT, ICE and ICANS, MASCC, CISNE.

No flag and no sentence for a patient uses them. A missing item means no score: nothing is filled in, and what is
missing is named. None of them is ever a reason to withhold an alert: in 198 episodes in solid tumours 42.3 % of those
with a MASCC score of 21 or more had complications (PMC4500479). The thresholds stand in
``rules/clinician_scores.toml``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache

from edge_twin.errors import CriteriaError
from edge_twin.observation import Origin
from edge_twin.program import Threshold, load_rule_pack

PACK = "clinician_scores"
ICE_POINTS = 10
_WORST_CONSCIOUSNESS = 4


@dataclass(frozen=True, slots=True)
class Result:
    """A score or a grade, with where it comes from.

    Attributes:
        name: of the score.
        version: of the file of thresholds behind it.
        value: points or grade; None when an item is missing or the score is not for this patient.
        missing: names of items that were not entered.
        note: why there is no value, or what must stand beside it.
        origin: who entered the items; always a clinician.
    """

    name: str
    version: int
    value: int | None
    missing: tuple[str, ...] = ()
    note: str = ""
    origin: Origin = Origin.CLINICIAN


class OxygenDevice(StrEnum):
    """How oxygen is given."""

    NONE = "none"
    LOW_FLOW_CANNULA = "low_flow_cannula"
    BLOW_BY = "blow_by"
    HIGH_FLOW = "high_flow"  # high-flow cannula, facemask, non-rebreather, Venturi
    POSITIVE_PRESSURE = "positive_pressure"  # CPAP, BiPAP, ventilation


@dataclass(frozen=True, slots=True)
class CytokineRelease:
    """Items of the ASTCT grade of cytokine release; None is not entered.

    Attributes:
        fever: 38.0 °C or more with no other cause.
        fever_treated: antipyretics, tocilizumab or steroids were given since: fever is no longer required.
        hypotension: present.
        vasopressors: number given, vasopressin not counted.
        oxygen: how oxygen is given.
        flow_l_per_min: of a cannula.
    """

    fever: bool | None = None
    fever_treated: bool | None = None
    hypotension: bool | None = None
    vasopressors: int | None = None
    oxygen: OxygenDevice | None = None
    flow_l_per_min: float | None = None


@dataclass(frozen=True, slots=True)
class Neurotoxicity:
    """Items of the ASTCT grade of ICANS; None is not entered.

    Attributes:
        age_years: ICE is not for children under 12.
        ice: points, 0 to 10.
        consciousness: worst, as a grade: 0 awake, 1 wakes by itself, 2 to voice, 3 to touch, 4 unarousable or stupor.
        seizure: 0 none, 3 resolves rapidly, 4 longer than 5 min or repeated without return to baseline.
        motor: 0 none, 4 deep focal weakness.
        oedema: 0 none, 3 focal on imaging, 4 diffuse, posturing, sixth nerve palsy, papilloedema, Cushing's triad.
    """

    age_years: float | None = None
    ice: int | None = None
    consciousness: int | None = None
    seizure: int | None = None
    motor: int | None = None
    oedema: int | None = None


class Burden(StrEnum):
    """Burden of illness of MASCC."""

    NONE_OR_MILD = "none_or_mild"
    MODERATE = "moderate"
    SEVERE = "severe"


@dataclass(frozen=True, slots=True)
class Mascc:
    """Items of the MASCC index; None is not entered."""

    burden: Burden | None = None
    systolic_mmhg: float | None = None
    copd: bool | None = None
    solid_or_no_fungal: bool | None = None
    dehydration: bool | None = None
    outpatient: bool | None = None
    age_years: float | None = None


@dataclass(frozen=True, slots=True)
class Cisne:
    """Items of CISNE; None is not entered.

    Attributes:
        solid_and_stable: an adult with a solid tumour, apparently stable at 3 h; False means that CISNE is not for
            this patient.
        diabetes_or_steroids: another threshold of glucose holds.
    """

    solid_and_stable: bool | None = None
    ecog: int | None = None
    glucose_mg_per_dl: float | None = None
    diabetes_or_steroids: bool | None = None
    copd: bool | None = None
    cardiovascular: bool | None = None
    mucositis: int | None = None
    monocytes_10_9_per_l: float | None = None


def astct_crs(items: CytokineRelease) -> Result:
    """Grade of cytokine release, the worse of pressure and oxygen; 0 is not cytokine release."""
    missing = _missing(items, optional=("flow_l_per_min",))
    if items.oxygen is OxygenDevice.LOW_FLOW_CANNULA and items.flow_l_per_min is None:
        missing = (*missing, "flow_l_per_min")
    if missing:
        return _result("ASTCT CRS", None, missing)
    worse = max(_pressure_grade(items), _oxygen_grade(items))
    if not items.fever and not (items.fever_treated and worse):
        return _result("ASTCT CRS", 0)
    return _result("ASTCT CRS", max(1, worse))


def _pressure_grade(items: CytokineRelease) -> int:
    if not (items.hypotension or items.vasopressors):
        return 0
    return min(2 + (items.vasopressors or 0), 4)


def _oxygen_grade(items: CytokineRelease) -> int:
    high = items.oxygen is OxygenDevice.LOW_FLOW_CANNULA and (items.flow_l_per_min or 0.0) > _value(
        "astct_crs", "low_flow_at_most_l_per_min"
    )
    grades = {
        OxygenDevice.NONE: 0,
        OxygenDevice.BLOW_BY: 2,
        OxygenDevice.LOW_FLOW_CANNULA: 3 if high else 2,
        OxygenDevice.HIGH_FLOW: 3,
        OxygenDevice.POSITIVE_PRESSURE: 4,
    }
    return grades[items.oxygen or OxygenDevice.NONE]


def icans(items: Neurotoxicity) -> Result:
    """Grade of ICANS: the worst row.

    Raises:
        CriteriaError: ``bad_value`` for points or grades that do not exist.
    """
    _check(items)
    if missing := _missing(items):
        return _result("ASTCT ICANS", None, missing)
    if (items.age_years or 0.0) < _value("ice", "adult_years"):
        return _result("ASTCT ICANS", None, note="ICE is not for children under 12; CAPD is used")
    rows = (items.consciousness, items.seizure, items.motor, items.oedema)
    return _result("ASTCT ICANS", max(_ice_grade(items), *(row or 0 for row in rows)))


def _check(items: Neurotoxicity) -> None:
    allowed: Mapping[str, range | tuple[int, ...]] = {
        "ice": range(ICE_POINTS + 1),
        "consciousness": range(_WORST_CONSCIOUSNESS + 1),
        "seizure": (0, 3, 4),
        "motor": (0, 4),
        "oedema": (0, 3, 4),
    }
    for name, values in allowed.items():
        value = getattr(items, name)
        if value is not None and value not in values:
            raise CriteriaError(f"{name} {value} does not exist", reason="bad_value")


def _ice_grade(items: Neurotoxicity) -> int:
    points = items.ice or 0
    if points >= _value("ice", "none_at_least"):
        return 0
    if points >= _value("ice", "grade_1_at_least"):
        return 1
    return 2 if points >= _value("ice", "grade_2_at_least") else 3


def mascc(items: Mascc) -> Result:
    """Points of MASCC, 0 to 26; the note must stand beside them."""
    if missing := _missing(items):
        return _result("MASCC", None, missing)
    points = sum(_mascc_points(items))
    side = "at or above" if points >= _value("mascc", "threshold") else "below"
    note = f"{side} {_value('mascc', 'threshold'):g} points; does not exclude complications"
    return _result("MASCC", int(points), note=note)


def _mascc_points(items: Mascc) -> Iterator[float]:
    yield _value("mascc", f"burden_{items.burden}_points")
    held = {
        "no_hypotension": (items.systolic_mmhg or 0.0) >= _value("mascc", "hypotension_below_mmhg"),
        "no_copd": not items.copd,
        "solid_or_no_fungal": bool(items.solid_or_no_fungal),
        "no_dehydration": not items.dehydration,
        "outpatient": bool(items.outpatient),
        "young": (items.age_years or 0.0) < _value("mascc", "young_below_years"),
    }
    yield from (_value("mascc", f"{name}_points") for name, holds in held.items() if holds)


def cisne(items: Cisne) -> Result:
    """Points of CISNE, 0 to 8, with their class of three; not for selecting patients for oral antibiotics at home."""
    if missing := _missing(items):
        return _result("CISNE", None, missing)
    if not items.solid_and_stable:
        return _result("CISNE", None, note="only for adults with a solid tumour, apparently stable at 3 h")
    points = int(sum(_cisne_points(items)))
    level = 1 + sum(points >= _value("cisne", f"class_{n}_at_least") for n in (2, 3))
    return _result("CISNE", points, note=f"class {level} of 3; does not exclude complications")


def _cisne_points(items: Cisne) -> Iterator[float]:
    glucose = "glucose_diabetes_at_least_mg_per_dl" if items.diabetes_or_steroids else "glucose_at_least_mg_per_dl"
    held = {
        "ecog": (items.ecog or 0) >= _value("cisne", "ecog_at_least"),
        "glucose": (items.glucose_mg_per_dl or 0.0) >= _value("cisne", glucose),
        "copd": bool(items.copd),
        "cardiovascular": bool(items.cardiovascular),
        "mucositis": (items.mucositis or 0) >= _value("cisne", "mucositis_at_least"),
        "monocytes": (items.monocytes_10_9_per_l or 0.0) < _value("cisne", "monocytes_below_10_9_per_l"),
    }
    yield from (_value("cisne", f"{name}_points") for name, holds in held.items() if holds)


_Items = CytokineRelease | Neurotoxicity | Mascc | Cisne


def _missing(items: _Items, optional: tuple[str, ...] = ()) -> tuple[str, ...]:
    names = (field.name for field in fields(items))
    return tuple(name for name in names if getattr(items, name) is None and name not in optional)


def _result(name: str, value: int | None, missing: tuple[str, ...] = (), note: str = "") -> Result:
    said = note or ("no score: an item is missing" if missing else "")
    return Result(name, _pack()[0], value, missing, said)


@cache
def _pack() -> tuple[int, Mapping[str, Mapping[str, Threshold]]]:
    return load_rule_pack(PACK)


def _value(table: str, name: str) -> float:
    return _pack()[1][table][name].value
