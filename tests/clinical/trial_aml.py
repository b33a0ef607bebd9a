"""Prints the personalised-schedule table for AML: ``python tests/clinical/trial_aml.py``.

Truth: patients of the teacher (LSODA) with assumed variances. First cycle 1 g/m² six times on days 1, 3, 5; counts
every third day to day 27 with the assumed residual; ensemble fit; second cycle planned on day 28. Everything
below was fixed before the first run.
"""

from __future__ import annotations

import numpy as np

from edge_twin.assimilation import Counts, assimilate
from edge_twin.bundle import load_bundle
from edge_twin.engines import select_engine
from edge_twin.program import Limit, LimitKind
from edge_twin.reduced_model import ReducedModel
from edge_twin.scheduling import Cycle, Split, administrations, rank_schedules
from edge_twin_models import bundle_path
from edge_twin_models.build_aml import usual_doses
from edge_twin_models.jost import JOST, Patient, sample_patients, simulate_m3

PATIENTS, MEMBERS, AREA = 13, 300, 1.8
DELAYS = (0.0, 4.0, 7.0, 14.0)
SPLITS = (
    Split("days_1_3_5_twice", (0.0, 0.5, 2.0, 2.5, 4.0, 4.5)),
    Split("days_1_2_3_twice", (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)),
    Split("days_1_3_5_once", (0.0, 2.0, 4.0)),
    Split("day_1_twice", (0.0, 0.5)),
    Split("days_1_5_once", (0.0, 4.0)),
)
DOSE = Limit("dose_mg_per_m2", LimitKind.AT_MOST, 3000.0, "mg/m2", ("largest usual dose [U], to be confirmed",))
START = Limit("wbc_at_start", LimitKind.AT_LEAST, 3.0, "10*9/L", ("recovered before the next cycle [A]",))
COUNT_DAYS = np.arange(0.0, 28.0, 3.0)
AFTER = np.arange(0.0, 35.25, 0.25)


def cohort(factor: float, grams: float, seed: int = 5) -> tuple[int, int]:
    """(patients avoided, patients drawn until 13 would have leukopenia under the standard second cycle)."""
    bundle = load_bundle(bundle_path("aml"))
    model = ReducedModel(bundle, select_engine(bundle, prefer="numpy"))
    given = tuple(usual_doses(grams))
    cycle = Cycle(6000.0 * grams * AREA, 0.125, AREA, 28.0)
    generator = np.random.default_rng(seed)
    avoided = treated = drawn = 0
    for row in sample_patients(JOST, 200, seed, factor):
        drawn += 1
        patient = Patient(*np.exp(row).tolist())
        if nadir(patient, (*given, *administrations(cycle, SPLITS[0], 0.0)), 28.0) >= 1.0:
            continue
        true = simulate_m3(patient, given, COUNT_DAYS)
        counts = Counts(COUNT_DAYS, true * np.exp(JOST.residual_log_sd * generator.standard_normal(COUNT_DAYS.size)))
        ensemble = assimilate(model, given, counts, MEMBERS, seed=1)
        best = rank_schedules(
            model, ensemble, given, cycle, delays=DELAYS, splits=SPLITS, threshold=1.0,
            dose_limit_mg_per_m2=DOSE, start_limit=START,
        )[0]  # fmt: skip
        avoided += nadir(patient, (*given, *best.doses), best.doses[0].start_day) >= 1.0
        treated += 1
        if treated == PATIENTS:
            break
    return int(avoided), drawn


def nadir(patient: Patient, doses: tuple, start: float) -> float:  # type: ignore[type-arg]
    return float(simulate_m3(patient, doses, start + AFTER).min())


if __name__ == "__main__":
    print("published 10/13; here simulated, variances, residual and pharmacokinetics assumed")
    for grams, factor in ((1.0, 0.5), (1.0, 1.0), (1.0, 2.0), (3.0, 1.0)):
        avoided, drawn = cohort(factor, grams)
        print(f"{grams:g} g/m2 x 6, variances x {factor:g}: avoided {avoided}/13 ({drawn} drawn)", flush=True)
