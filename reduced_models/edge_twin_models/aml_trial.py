"""A simulated trial of personalised cytarabine schedules in AML consolidation.

Truth: patients of the teacher (Jost M3, LSODA) with the assumed variability. Every patient gets the first cycle as
usual, is counted with the assumed residual error, and enters when the standard second cycle would bring leukocytes
below the program's threshold. The choice is made from the ensemble after those counts, never from the truth; what it
does is then simulated with the teacher.

Arms: ``standard``; ``equal_dose`` takes the best schedule of equal total dose under the program's limits;
``equal_dose_and_effect`` also keeps the drug effect. Beside them stands how many patients any candidate could have
served, with the truth known, which nobody has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.assimilation import Counts, assimilate
from edge_twin.exposure import DoseEvent
from edge_twin.limit_checks import EFFECT_SHARE
from edge_twin.program import Limit, LimitKind, Program
from edge_twin.reduced_model import ReducedModel
from edge_twin.scheduling import (
    GRID_DAYS,
    Candidate,
    Cycle,
    Search,
    administrations,
    member_outcomes,
    rank_schedules,
    ranked,
)
from edge_twin_models.jost import GCSF, JOST, Patient, blast_growth_per_day, sample_patients, simulate_m3

Floats = NDArray[np.float64]

STANDARD, EQUAL_DOSE, EQUAL_EFFECT = "standard", "equal_dose", "equal_dose_and_effect"
ARMS = (STANDARD, EQUAL_DOSE, EQUAL_EFFECT)
PUBLISHED_AVOIDED, PUBLISHED_PATIENTS = 10, 13  # the headline that this trial is held against
TEACHER_RELATIVE = 1e-6  # of the solver; a nadir that close to the threshold is a matter of chance anyway
POOL = 400  # patients drawn for a cohort before it gives up finding enough that would be low

ASSUMED = (
    "between-patient variances, residual error and pharmacokinetics of cytarabine (model card)",
    "6 g/m2 a cycle, the usual intermediate dose (median 5.9 g/m2, SAL-AML registry, PMC10349710); counts every 3 days",
    "blasts feel the effect that the same slope gives (Jost 2020), their proliferation 0.1 /d for every patient",
    "start limit and every division of the dose marked [A] in the program; no G-CSF",
)
"""What the trial rests on beside the published medians."""


@dataclass(frozen=True, slots=True)
class Design:
    """How a patient is treated and observed.

    Attributes:
        patients: that enter a cohort.
        members: of each ensemble.
        grams_per_m2: of one administration of the usual cycle, both in the first and as the total of the second.
        area_m2: body surface.
        infusion_days: of one administration.
        planned_day: of the second cycle.
        count_every_days: in the first cycle.
    """

    patients: int = 13
    members: int = 200
    grams_per_m2: float = 1.0
    area_m2: float = 1.8
    infusion_days: float = 0.125
    planned_day: float = 28.0
    count_every_days: float = 3.0

    def cycle(self, administrations: int, planned_day: float) -> Cycle:
        """A cycle of so many usual administrations."""
        total = 1000.0 * self.grams_per_m2 * self.area_m2 * administrations
        return Cycle(total, self.infusion_days, self.area_m2, planned_day)


@dataclass(frozen=True, slots=True)
class Given:
    """One schedule given to one true patient.

    Attributes:
        arm: see the module.
        split, delay_days: what was chosen.
        nadir: true lowest count from its start on, 10*9/L.
        effect_share: drug effect as a share of the standard's.
        blast_log_change: ln of blasts at the end of the followed time over blasts on the planned day.
        limits_broken: of the choice, as its ensemble saw them.
        total_mg: given.
    """

    arm: str
    split: str
    delay_days: float
    nadir: float
    effect_share: float
    blast_log_change: float
    limits_broken: tuple[str, ...]
    total_mg: float


@dataclass(frozen=True, slots=True)
class Cohort:
    """One cohort: its patients, each with every arm.

    Attributes:
        drawn: patients drawn until enough would be low under the standard second cycle.
        patients: one tuple of schedules, in the order of ``ARMS``, for each that entered.
        possible: of these patients, for how many some candidate keeps limits and threshold with the truth known.
        possible_with_effect: the same under the limit on the drug effect.
    """

    drawn: int
    patients: tuple[tuple[Given, ...], ...]
    possible: int
    possible_with_effect: int


class AmlTrial:
    """The trial of one model under one program.

    Args:
        model: reduced model whose ensembles choose.
        program: candidates, limits and threshold.
        design: see its type.

    Raises:
        ValueError: a model that does not know its drug effect.
    """

    def __init__(self, model: ReducedModel, program: Program, design: Design) -> None:
        self._model = model
        self._design = design
        self._search = Search.of(program)
        self._standard = self._search.splits[0]
        threshold = program.thresholds["search"]["effect_share"]
        self._effect = Limit(EFFECT_SHARE, LimitKind.AT_LEAST, threshold.value, "1", (threshold.source,))
        usual = len(self._standard.days)
        self._given = administrations(design.cycle(usual, 0.0), self._standard, 0.0)
        self._cycle = design.cycle(usual, design.planned_day)
        effect = model.drug_effect(self._given)
        if not effect:
            raise ValueError(f"{model.id} does not say how much drug effect doses have")
        self._standard_effect = effect

    def cohort(self, variability: float, seed: int, number: int) -> Cohort:
        """The cohort of this number.

        Args:
            variability: multiplies the assumed between-patient variances.
            seed: of the trial; the same patients' deviates serve every variability.
            number: of the cohort, from 0.

        Raises:
            RuntimeError: too few of ``POOL`` patients would be low.
        """
        child = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        generator = np.random.default_rng([seed, number, 1])
        entered: dict[int, tuple[Given, ...]] = {}
        population = sample_patients(JOST, POOL, child, variability)
        for drawn, row in enumerate(population, start=1):
            patient = Patient(*np.exp(row).tolist())
            standard = self._treated(patient, STANDARD, self._as_usual())
            if standard.nadir < self._search.threshold:
                entered[drawn - 1] = (standard, *self._personalised(patient, generator, child + drawn))
            if len(entered) == self._design.patients:
                return Cohort(drawn, tuple(entered.values()), *self._possible(population[list(entered)]))
        raise RuntimeError(f"fewer than {self._design.patients} of {POOL} patients would be low")

    def candidates(self, variability: float, seed: int) -> list[dict[str, Any]]:
        """What each start and division does to patients whom the standard cycle would bring low, truth known.

        Args:
            variability: as in :meth:`cohort`.
            seed: of the patients.

        Returns:
            One row for each candidate, in the order of :func:`edge_twin.scheduling.ranked`; all by the reduced model.
        """
        population = sample_patients(JOST, POOL, seed, variability)
        usual = member_outcomes(self._model, population, self._given, self._cycle, self._search, self._search.pairs[0])
        low = population[usual.nadirs < self._search.threshold]
        found = rank_schedules(self._model, low, self._given, self._cycle, self._search)
        return [_candidate_row(candidate, variability, len(low)) for candidate in found]

    def _personalised(self, patient: Patient, generator: np.random.Generator, seed: int) -> Iterable[Given]:
        """The two other arms of one patient."""
        ensemble = assimilate(self._model, self._given, self._counts(patient, generator), self._design.members, seed)
        by_dose = rank_schedules(self._model, ensemble, self._given, self._cycle, self._search)
        choices = {EQUAL_DOSE: by_dose, EQUAL_EFFECT: ranked(by_dose, self._effect)}
        return (self._treated(patient, arm, self._chosen(order)) for arm, order in choices.items())

    def _possible(self, truths: Floats) -> tuple[int, int]:
        """How many of these true patients some candidate serves: under the limits, and with effect held as well."""
        served = [member_outcomes(self._model, truths, self._given, self._cycle, self._search, pair)
                  for pair in self._search.pairs]  # fmt: skip
        avoided = np.array([outcome.kept & (outcome.nadirs >= self._search.threshold) for outcome in served])
        enough = [self._effect.allows(outcome.effect_share or float("nan")) for outcome in served]
        return int(avoided.any(axis=0).sum()), int(avoided[enough].any(axis=0).sum())

    def _chosen(self, order: Sequence[Candidate]) -> Candidate:
        """The first of the order; when even that breaks a limit, nothing is personalised."""
        return self._as_usual() if order[0].limits_broken else order[0]

    def _as_usual(self) -> Candidate:
        """The standard split on the planned day."""
        doses = administrations(self._cycle, self._standard, 0.0)
        nothing = float("nan")
        return Candidate(self._standard.id, 0.0, nothing, nothing, nothing, nothing, nothing, 1.0, (), doses)

    def _counts(self, patient: Patient, generator: np.random.Generator) -> Counts:
        days = np.arange(0.0, self._design.planned_day, self._design.count_every_days)
        true = simulate_m3(patient, self._given, days, rtol=TEACHER_RELATIVE)
        return Counts(days, true * np.exp(JOST.residual_log_sd * generator.standard_normal(days.size)))

    def _treated(self, patient: Patient, arm: str, choice: Candidate) -> Given:
        """What the teacher says of one schedule."""
        planned, start = self._design.planned_day, choice.doses[0].start_day
        days = np.arange(planned, start + self._search.followed_days + GRID_DAYS, GRID_DAYS)
        counts = simulate_m3(patient, (*self._given, *choice.doses), days, rtol=TEACHER_RELATIVE)
        followed = counts[days <= planned + self._search.followed_days]
        growth = GRID_DAYS * sum(blast_growth_per_day(count) for count in followed[1:].tolist())
        share = choice.effect_share or 0.0  # known: see the constructor
        kill = GCSF.p1 * patient.slope * share * self._standard_effect
        return Given(
            arm=arm,
            split=choice.split,
            delay_days=choice.delay_days,
            nadir=float(counts[days >= start].min()),
            effect_share=share,
            blast_log_change=growth - kill,
            limits_broken=choice.limits_broken,
            total_mg=_total(choice.doses),
        )


def arm_rows(cohorts: Sequence[Cohort], variability: float, threshold: float) -> list[dict[str, Any]]:
    """One row for each arm over all cohorts; the first cohort's own number stands beside the mean.

    Args:
        cohorts: at least one.
        variability: of them.
        threshold: a nadir at or above it counts as avoided.
    """
    return [_row(arm, place, cohorts, variability, threshold) for place, arm in enumerate(ARMS)]


def _row(arm: str, place: int, cohorts: Sequence[Cohort], variability: float, threshold: float) -> dict[str, Any]:
    given = [patient[place] for cohort in cohorts for patient in cohort.patients]
    avoided = np.array([sum(p[place].nadir >= threshold for p in cohort.patients) for cohort in cohorts])
    split, times = Counter(item.split for item in given).most_common(1)[0]
    return {
        "variability": variability,
        "arm": arm,
        "patients": len(cohorts[0].patients),
        "cohorts": len(cohorts),
        "avoided_first_cohort": int(avoided[0]),
        "avoided_mean": float(avoided.mean()),
        "avoided_sd": float(avoided.std(ddof=1)) if len(avoided) > 1 else None,
        "avoided_min": int(avoided.min()),
        "avoided_max": int(avoided.max()),
        "avoided_share": float(avoided.sum() / len(given)),
        "possible_share": _possible_share(arm, cohorts, len(given)),
        "cohorts_with_10_or_more": int((avoided >= PUBLISHED_AVOIDED).sum()),
        "low_share_of_drawn": len(given) / sum(cohort.drawn for cohort in cohorts),
        "nadir_median": float(np.median([item.nadir for item in given])),
        "effect_share_mean": float(np.mean([item.effect_share for item in given])),
        "blast_log_change_median": float(np.median([item.blast_log_change for item in given])),
        "start_delay_mean_days": float(np.mean([item.delay_days for item in given])),
        "most_frequent_split": split,
        "most_frequent_split_share": times / len(given),
        "published_avoided": PUBLISHED_AVOIDED,
        "published_patients": PUBLISHED_PATIENTS,
    }


def _candidate_row(candidate: Candidate, variability: float, patients: int) -> dict[str, Any]:
    return {
        "variability": variability,
        "split": candidate.split,
        "delay_days": candidate.delay_days,
        "administrations": len(candidate.doses),
        "patients": patients,
        "avoided_share": 1.0 - candidate.p_below,
        "nadir_median": candidate.nadir_median,
        "count_on_last_dose_day_median": candidate.count_at_last_dose,
        "effect_share": candidate.effect_share,
        "limits_broken": list(candidate.limits_broken),
    }


def _possible_share(arm: str, cohorts: Sequence[Cohort], patients: int) -> float | None:
    """Share of patients whom some candidate of this arm could have served."""
    if arm == STANDARD:
        return None
    held = arm == EQUAL_EFFECT
    return sum(cohort.possible_with_effect if held else cohort.possible for cohort in cohorts) / patients


def _total(doses: Sequence[DoseEvent]) -> float:
    return sum(dose.amount_mg for dose in doses)
