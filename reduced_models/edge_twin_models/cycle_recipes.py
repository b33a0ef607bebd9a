"""What the cycle operators are made from: runs, sizes, seeds, envelope and the words of the card, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from edge_twin.course import ONCE
from edge_twin.engines.kinds import FRIBERG_TRANSIT, JOST_LEUKOCYTES
from edge_twin.exposure import DoseEvent
from edge_twin_models import cycle_design, cycle_design_aml
from edge_twin_models.card_cycle import AML_TEXTS, NEUTROPENIA_TEXTS, CycleCardTexts
from edge_twin_models.cycle_certify import CYTARABINE_COURSES, DOCETAXEL_COURSES, RandomCourses
from edge_twin_models.cycle_design import CycleDesign
from edge_twin_models.cycle_train import Recipe
from edge_twin_models.teacher import CytarabineLeukocytes, DocetaxelNeutropenia


@dataclass(frozen=True)
class CycleRecipe:
    """How the cycle operator of one teacher is made.

    Attributes:
        design: runs of the teacher; training: everything that decides the weights.
        courses: on which whole roll-outs are calibrated and certified.
        calibration_seed, certificate_seed: of the courses and patients; the second decided nothing.
        calibration_courses, certificate_courses: per number of cycles.
        version, title: of the bundle; texts: of its card.
        equations: of the mechanistic integrator behind it.
        piece_days: shortest and longest piece; max_kill: bound of the design.
        dose_envelope: what replaces the mechanistic bundle's.
        operator: what the manifest says of a cycle, beyond the pieces.
        golden_starts: first administration of each cycle of the golden course.
    """

    design: CycleDesign
    training: Recipe
    courses: RandomCourses
    calibration_seed: int
    certificate_seed: int
    calibration_courses: int
    certificate_courses: int
    version: int
    title: str
    texts: CycleCardTexts
    equations: str
    piece_days: tuple[float, float]
    max_kill: float
    dose_envelope: Mapping[str, float]
    operator: Mapping[str, Any]
    golden_starts: tuple[DoseEvent, ...]


NEUTROPENIA = CycleRecipe(
    design=cycle_design.DOCETAXEL,
    training=Recipe(),
    courses=DOCETAXEL_COURSES,
    calibration_seed=41,
    certificate_seed=20261128,  # never drawn before the band was settled
    calibration_courses=60,
    certificate_courses=40,
    version=3,  # 2: the same weights also as ONNX and LiteRT; 3: certified again on fresh roll-outs
    title="Neutrophils after docetaxel, cycle by cycle",
    texts=NEUTROPENIA_TEXTS,
    equations=FRIBERG_TRANSIT,
    piece_days=cycle_design.PIECE_DAYS,
    max_kill=cycle_design.MAX_KILL,
    dose_envelope=MappingProxyType(
        {
            "max_amount_mg": cycle_design.MAX_AMOUNT_MG,
            "max_amount_21_days_mg": cycle_design.MAX_AMOUNT_21_DAYS_MG,
            "max_infusion_days": cycle_design.MAX_INFUSION_DAYS,
            "min_interval_days": cycle_design.PIECE_DAYS[0],
            "max_horizon_days": 550.0,
        }
    ),
    operator=MappingProxyType({"offsets_days": [list(ONCE)]}),
    golden_starts=(
        DoseEvent(1.0, 180.0, 1 / 24),
        DoseEvent(22.0, 135.0, 1 / 24),
        DoseEvent(57.0, 180.0, 0.1),
        DoseEvent(71.0, 120.0, 0.0),
    ),
)
AML = CycleRecipe(
    design=cycle_design_aml.CYTARABINE,
    training=Recipe(basis=36, width=128, epochs=250, seed=20261127),
    courses=CYTARABINE_COURSES,
    calibration_seed=31,
    certificate_seed=42,  # never drawn before the band was settled
    calibration_courses=36,
    certificate_courses=24,
    version=1,
    title="Leukocytes after cytarabine in AML, cycle by cycle",
    texts=AML_TEXTS,
    equations=JOST_LEUKOCYTES,
    piece_days=cycle_design_aml.PIECE_DAYS,
    max_kill=cycle_design_aml.MAX_KILL,
    dose_envelope=MappingProxyType(
        {
            "max_amount_mg": cycle_design_aml.AMOUNT_MG[1],
            "max_amount_21_days_mg": len(cycle_design_aml.OFFSETS_DAYS) * cycle_design_aml.AMOUNT_MG[1],
            "max_infusion_days": cycle_design_aml.INFUSION_DAYS,
            "min_interval_days": 0.5,
            "max_horizon_days": 700.0,
        }
    ),
    operator=MappingProxyType(
        {
            "offsets_days": [list(cycle_design_aml.OFFSETS_DAYS)],
            "infusion_days": cycle_design_aml.INFUSION_DAYS,
        }
    ),
    golden_starts=(
        DoseEvent(1.0, 1800.0, cycle_design_aml.INFUSION_DAYS),
        DoseEvent(29.0, 1350.0, cycle_design_aml.INFUSION_DAYS),
        DoseEvent(64.0, 5400.0, cycle_design_aml.INFUSION_DAYS),
    ),
)
RECIPES: Mapping[str, CycleRecipe] = MappingProxyType(
    {DocetaxelNeutropenia.name: NEUTROPENIA, CytarabineLeukocytes.name: AML}
)
"""By the name of the teacher."""
