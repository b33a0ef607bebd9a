"""What the event-aligned students are made from: courses, grid, sizes, seeds and the words of the card, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from edge_twin.course import WarpedGrid
from edge_twin_models import build_aml, build_neutropenia
from edge_twin_models.card_course import AML_TEXTS, NEUTROPENIA_TEXTS, CardTexts
from edge_twin_models.design import CYTARABINE_COURSE, DOCETAXEL_COURSE, CourseSpace
from edge_twin_models.network import Training
from edge_twin_models.teacher import CytarabineLeukocytes, DocetaxelNeutropenia

FLOOR = 0.01  # of the baseline
TRAINING = Training(epochs=700)


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and seeds of a distillation; groups × patients and the seed of each sample."""

    modes: int = 32
    training: Training = TRAINING
    design: tuple[int, int, int] = (128, 256, 11)
    calibration: tuple[int, int, int] = (128, 16, 12)
    certificate: tuple[int, int, int] = (100, 11, 13)
    population: tuple[int, int, int] = (50, 20, 14)


@dataclass(frozen=True)
class CourseRecipe:
    """How the course student of one teacher is made.

    Attributes:
        space: patients and courses.
        grid: dose-aligned nodes; floor: fraction of the baseline.
        plan: sizes and seeds of the shipped student.
        title: of the bundle; texts: of its card.
        golden_interval_days, golden_dose_mg: course of the golden vectors.
        drug_document: the manifest's ``fixed`` and ``pharmacokinetics``.
    """

    space: CourseSpace
    grid: WarpedGrid
    plan: Plan
    title: str
    texts: CardTexts
    golden_interval_days: float
    golden_dose_mg: float
    drug_document: Callable[[], dict[str, Any]]
    floor: float = FLOOR


NEUTROPENIA = CourseRecipe(
    space=DOCETAXEL_COURSE,
    grid=WarpedGrid(cycles=6, points_per_cycle=32, tail_points=28, tail_power=1.5, horizon_days=180.0),
    plan=Plan(),
    title="Neutrophils over six equal cycles of docetaxel (learned from the Friberg model)",
    texts=NEUTROPENIA_TEXTS,
    golden_interval_days=21.0,
    golden_dose_mg=150.0,
    drug_document=build_neutropenia.pharmacokinetics_document,
)
# Members of a group share dose and interval, so the samples have many small groups.
AML = CourseRecipe(
    space=CYTARABINE_COURSE,
    grid=WarpedGrid(3, 54, 24, 1.5, 120.0, dosing_days=5.0, dosing_points=10),
    plan=Plan(
        modes=48,
        training=Training(hidden=116, epochs=350),
        design=(512, 128, 21),
        calibration=(512, 4, 22),
        certificate=(300, 4, 23),
        population=(300, 4, 24),
    ),
    title="Leukocytes over three equal cycles of cytarabine in AML (learned from the Jost model M3)",
    texts=AML_TEXTS,
    golden_interval_days=28.0,
    golden_dose_mg=1800.0,
    drug_document=build_aml.pharmacokinetics_document,
)
RECIPES: Mapping[str, CourseRecipe] = MappingProxyType(
    {DocetaxelNeutropenia.name: NEUTROPENIA, CytarabineLeukocytes.name: AML}
)
"""By the name of the teacher."""
