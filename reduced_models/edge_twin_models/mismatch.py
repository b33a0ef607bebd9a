"""Patients that another model made, and the discrepancy calibrated on them.

``python -m edge_twin_models.mismatch [BUNDLE ...]`` prints the spread for each bundle.

The patients follow the full equations of ``quartino`` with between-occasion variability, every other one on
filgrastim whose absorption, bioavailability and volume are not those of the bundle; counts carry the population's
residual error. Two cycles of docetaxel; what is forecast after the counts of the first is the nadir of the second.

The calibration is split-conformal: the smallest spread, in steps of 0.01, with which the interval of enough
patients holds the true nadir. Its seed serves nothing else.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_twin.assimilation import Assimilation, Counts, ObservationOperator, assimilate
from edge_twin.bundle import load_bundle
from edge_twin.contract import Model
from edge_twin.discrepancy import Discrepancy
from edge_twin.engines import select_engine
from edge_twin.exposure import DoseEvent
from edge_twin.innovation import innovations
from edge_twin.quantiles import median_and_interval
from edge_twin.reduced_model import ReducedModel
from edge_twin_models import bundle_path
from edge_twin_models.discrepancy_text import LABORATORY_LOG_SD
from edge_twin_models.quartino import (
    Filgrastim,
    QuartinoPatient,
    on_occasions,
    sample_patients,
    simulate_quartino,
)

Floats = NDArray[np.float64]

DOSES = (DoseEvent(0.0, 180.0, 1 / 24), DoseEvent(21.0, 180.0, 1 / 24))
COUNT_DAYS = np.array([0.0, 7.0, 10.0, 14.0, 21.0])
NEXT_CYCLE = np.arange(21.0, 42.01, 0.5)
TIMES = np.concatenate((COUNT_DAYS[:-1], NEXT_CYCLE))
RESIDUAL_LOG_SD = 0.42
GCSF = (Filgrastim(2.0, 7), Filgrastim(23.0, 7))
INJECTIONS = tuple(DoseEvent(day, amount / 1000.0, 0.0, "filgrastim") for c in GCSF for day, amount in c.events)
MISMATCH_P = 0.01
MEMBERS = 1000
OTHER_MEMBERS = 500  # for patients of another model: the bundle with G-CSF takes finer steps
COVERAGE = 0.95
HALVES = {"neutropenia": False, "neutropenia-gcsf": True}
CALIBRATION_SEED, CALIBRATION_PATIENTS = 7300, 400
SMALLEST = 1e-6  # 10*9/L, only to keep the logarithm finite


class Simulated(NamedTuple):
    """One patient: what the twin sees, and the logarithm of the true nadir of the next cycle."""

    doses: tuple[DoseEvent, ...]
    counts: Counts
    log_nadir: float

    @property
    def on_gcsf(self) -> bool:
        """Whether filgrastim is on record."""
        return any(dose.drug for dose in self.doses)


@dataclass(frozen=True, eq=False)
class NadirForecast:
    """The next nadir of every member, before the discrepancy.

    Attributes:
        at_dose: [members] log count at the dose; fall: [members] log fall to the nadir, at most 0.
        widening: factor on the interval from counts that do not fit; 1 without a mismatch flag.
        flagged: whether the mismatch flag is up.
    """

    at_dose: Floats
    fall: Floats
    widening: float
    flagged: bool

    def interval(self, discrepancy: Discrepancy, residual_log_sd: float) -> tuple[float, float, float]:
        """Median, lower and upper end of the 95 % interval of the log nadir."""
        nadirs = discrepancy.apply((self.at_dose + self.fall)[None, :], self.at_dose, residual_log_sd, 1)
        centre, low, high = (float(value[0]) for value in median_and_interval(nadirs))
        return centre, centre + self.widening * (low - centre), centre + self.widening * (high - centre)


def other_patients(count: int, seed: int, variance: float = 1.0, *, gcsf: bool | None = None) -> list[Simulated]:
    """Patients of the other model, every other one on filgrastim.

    Args:
        count: how many.
        seed: of parameters, occasions and residuals.
        variance: factor on the between-patient variances that the twin's own prior has as well.
        gcsf: only the half with or without filgrastim; None for all.
    """
    numbered = enumerate(sample_patients(count, seed, variance))
    return [_simulated(patient, seed, number) for number, patient in numbered if gcsf in {None, number % 2 == 1}]


def _simulated(patient: QuartinoPatient, seed: int, number: int) -> Simulated:
    gcsf = number % 2 == 1
    curve = simulate_quartino(
        on_occasions(patient, 2, seed + 1 + number), DOSES, TIMES, filgrastim=GCSF if gcsf else ()
    )
    noise = np.random.default_rng([seed, number]).standard_normal(COUNT_DAYS.size)
    measured = curve[: COUNT_DAYS.size] * np.exp(RESIDUAL_LOG_SD * noise)
    nadir = float(np.log(curve[COUNT_DAYS.size - 1 :].min()))
    return Simulated((*DOSES, *(INJECTIONS if gcsf else ())), Counts(COUNT_DAYS, measured), nadir)


def forecast_nadir(
    model: Model,
    doses: tuple[DoseEvent, ...],
    counts: Counts,
    choices: Assimilation,
    members: int = MEMBERS,
) -> NadirForecast:
    """The next nadir as the twin forecasts it from the counts of the first cycle.

    Args:
        model: covers the doses.
        doses: of both cycles, as planned.
        counts: of the first cycle.
        choices: of the assimilation.
        members: of the ensemble.
    """
    ensemble = assimilate(model, doses, counts, members, 1, choices)
    logs = np.log(np.maximum(model.simulate(ensemble, doses, NEXT_CYCLE), SMALLEST))
    compared = innovations(model, doses, counts, members=members, seed=1, choices=choices)
    flagged = compared.p_mismatch <= MISMATCH_P
    return NadirForecast(logs[0], (logs - logs[0]).min(axis=0), compared.birge_ratio if flagged else 1.0, flagged)


def calibrated_fall_sd(forecasts: Sequence[NadirForecast], log_nadirs: Sequence[float], known: Discrepancy) -> float:
    """The smallest spread with which enough intervals hold the truth, see the module.

    Args:
        forecasts: of the calibration patients.
        log_nadirs: their true log nadirs.
        known: gives the residual errors.
    """
    needed = math.ceil((len(forecasts) + 1) * COVERAGE)
    for fall_sd in np.arange(0.0, 2.0, 0.01).tolist():
        tried = replace(known, fall_sd=round(fall_sd, 2))
        inside = 0
        for forecast, truth in zip(forecasts, log_nadirs, strict=True):
            _, low, high = forecast.interval(tried, RESIDUAL_LOG_SD)
            inside += low <= truth <= high
        if inside >= needed:
            return tried.fall_sd
    raise RuntimeError("no spread below 2 covers enough patients")


def main() -> None:
    """Calibrate the discrepancy of the bundles named, of both by default, each on its half of the patients."""
    parser = argparse.ArgumentParser(description="Calibrate the discrepancy of the next cycle.")
    parser.add_argument("bundles", nargs="*", default=list(HALVES), choices=list(HALVES))
    for name in parser.parse_args().bundles:
        patients = other_patients(CALIBRATION_PATIENTS, CALIBRATION_SEED, gcsf=HALVES[name])
        spread = calibrated(name, patients)
        print(f"{name}: fall_sd {spread:.2f} on {len(patients)} patients")  # noqa: T201 - the command's result


def calibrated(name: str, patients: Sequence[Simulated]) -> float:
    """The spread of one bundle, calibrated on patients whose drugs it covers."""
    bundle = load_bundle(bundle_path(name))
    model = ReducedModel(bundle, select_engine(bundle))
    choices = Assimilation(operator=ObservationOperator(RESIDUAL_LOG_SD))
    forecasts = [
        forecast_nadir(model, patient.doses, patient.counts, choices, OTHER_MEMBERS)
        for patient in tqdm(patients, desc=name, leave=False, disable=None)
    ]
    known = Discrepancy(0.0, bundle.residual_log_sd, LABORATORY_LOG_SD)
    return calibrated_fall_sd(forecasts, [patient.log_nadir for patient in patients], known)


if __name__ == "__main__":
    main()
