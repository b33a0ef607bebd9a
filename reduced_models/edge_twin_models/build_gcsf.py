"""Builds the neutropenia bundle with G-CSF: ``python -m edge_twin_models.build_gcsf [ARCHIVE]``.

The same sources give the same bytes; what is measured against the teacher is rounded up to one figure.
"""

from __future__ import annotations

import argparse
import io
import math
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_twin.bundle import SCHEMA
from edge_twin.codes import NEUTROPHILS
from edge_twin.engines import QUARTINO_GCSF
from edge_twin.engines.numpy_quartino import PARAMETERS, NumpyQuartino
from edge_twin.exposure import DoseEvent, exposure_grid
from edge_twin.release import SUFFIX, signed_archive
from edge_twin.support import delivered, marked
from edge_twin_models import development_key
from edge_twin_models.build_neutropenia import (
    CREATED,
    DOSE_ENVELOPE,
    EXPIRES,
    pharmacokinetics_document,
    random_doses,
    relative_error,
)
from edge_twin_models.card_gcsf import card
from edge_twin_models.discrepancy_text import discrepancy_document
from edge_twin_models.figures import eight_figures, rounded_up
from edge_twin_models.friberg import DDMODEL00000224, DOCETAXEL_PK
from edge_twin_models.quartino_gcsf import (
    FILGRASTIM,
    KINETICS,
    OMEGA2,
    QUARTINO_2014,
    RESIDUAL_LOG_SD,
    simulate_patient,
)
from edge_twin_models.quartino_graph import build_graph
from edge_twin_models.releasing import with_manifest, write_files

Floats = NDArray[np.float64]

BUNDLE_ID = "neutropenia-gcsf"
VERSION = 1
DRUG = "docetaxel"
SOURCE = "Quartino et al., Pharm Res 2014;31:3390-3403"
BORROWED = f"variance of the docetaxel row in use: {DDMODEL00000224.source}"
NO_VARIANCE = "none known"
UNITS = {"circ0": "10*9/L", "mtt": "h", "slope": "L/umol", "gamma": "1", "beta": "1"}
# Assumed: about four between-patient standard deviations about the typical value, rounded outwards; a quarter for the
# exponents, whose variance nobody here knows (far from the published pair the equations ring without end).
BOX = {"circ0": (1.0, 12.0), "mtt": (70.0, 240.0), "slope": (3.5, 75.0), "gamma": (0.33, 0.56), "beta": (0.17, 0.30)}
MAX_STEP_DAYS = 0.1
TOLERANCE = 2e-5
DISCREPANCY = discrepancy_document(fall_sd=0.29)
CERTIFICATE_PATIENTS = 40
CERTIFICATE_SEED = 20261126
GOLDEN_MEMBERS = 8


def certify(patients: int = CERTIFICATE_PATIENTS, seed: int = CERTIFICATE_SEED) -> dict[str, float | int]:
    """Largest relative errors of daily counts and nadirs against the teacher.

    Args:
        patients: drawn from the prior on the usual schedule, every other one on filgrastim, and as many from the
            whole box with random allowed dosing of both drugs.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    box, prior = [], []
    for number in tqdm(range(patients), desc="certificate", leave=False, disable=None):
        box.append(_errors(box_member(generator), _random_schedule(generator)))
        prior.append(_errors(prior_member(generator), usual_schedule(gcsf=number % 2 == 1)))
    curve, nadir, prior_curve, prior_nadir = (
        rounded_up(float(worst)) for worst in (*np.max(box, axis=0), *np.max(prior, axis=0))
    )
    return {
        "patients": patients,
        "box_max_relative_error": curve,
        "box_max_nadir_error": nadir,
        "prior_max_relative_error": prior_curve,
        "prior_max_nadir_error": prior_nadir,
    }


def build(directory: Path, certificate: Mapping[str, float | int] | None = None) -> None:
    """Write the bundle's files, unsigned.

    Args:
        directory: made when absent; files of the same names are replaced.
        certificate: measured earlier from the same sources; measured now when None (about a minute).
    """
    certificate = certificate or certify()
    manifest = _manifest(certificate)
    contents = {
        "card.md": card(manifest).encode(),
        "golden.npz": golden_vectors(),
        "model.onnx": build_graph(BUNDLE_ID, KINETICS),
    }
    write_files(directory, with_manifest(manifest, contents))


def golden_vectors() -> bytes:
    """The npz file: random members of the box under two doses and a course of filgrastim, by the numpy engine."""
    generator = np.random.default_rng(1)
    members = eight_figures(np.stack([box_member(generator) for _ in range(GOLDEN_MEMBERS)]))
    doses = [DoseEvent(1.0, 180.0, 1.0 / 24.0), DoseEvent(22.0, 135.0), *filgrastim_course(3.0)]
    steps = eight_figures(engine_steps(doses, np.arange(0.0, 43.0))[0])
    output = eight_figures(NumpyQuartino(KINETICS).simulate(members, steps))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, log_parameters=members, steps=steps, output=output)
    return buffer.getvalue()


def engine_steps(doses: Sequence[DoseEvent], times: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Steps [k, 3] and the node of each time, as the runtime makes them from the bundle."""
    grid = exposure_grid(DOCETAXEL_PK, marked(doses, DRUG), times, max_step_days=MAX_STEP_DAYS)
    return np.column_stack((grid.steps, delivered((FILGRASTIM,), doses, grid.node_days))), grid.report


def box_member(generator: np.random.Generator) -> Floats:
    """Log parameters [5] drawn evenly from the box."""
    return np.array([generator.uniform(*np.log(BOX[name])) for name in PARAMETERS])


def prior_member(generator: np.random.Generator) -> Floats:
    """Log parameters [5] drawn from the prior."""
    return np.asarray(np.log(QUARTINO_2014) + np.sqrt(OMEGA2) * generator.standard_normal(len(PARAMETERS)))


def filgrastim_course(first_day: float, injections: int = 7, amount_mg: float = 0.3) -> list[DoseEvent]:
    """Daily injections."""
    return [DoseEvent(first_day + day, amount_mg, 0.0, FILGRASTIM.name) for day in range(injections)]


def usual_schedule(*, gcsf: bool, cycles: int = 2) -> list[DoseEvent]:
    """180 mg over an hour every 21 days; with filgrastim from the second day after each dose on."""
    starts = [21.0 * cycle for cycle in range(cycles)]
    injections = [event for start in starts if gcsf for event in filgrastim_course(start + 2.0)]
    return [*(DoseEvent(start, 180.0, 1.0 / 24.0) for start in starts), *injections]


def main() -> None:
    """Build and sign the archive given, or the one in the package itself."""
    parser = argparse.ArgumentParser(description="Build the neutropenia bundle with G-CSF.")
    default = Path(__file__).parent / "bundles" / f"{BUNDLE_ID}{SUFFIX}"
    parser.add_argument("archive", type=Path, nargs="?", default=default)
    archive: Path = parser.parse_args().archive
    with tempfile.TemporaryDirectory() as directory:
        build(Path(directory))
        archive.write_bytes(signed_archive(Path(directory), development_key()))
    print(f"bundle written to {archive}")  # noqa: T201 - a command line tells where its result is


def _random_schedule(generator: np.random.Generator) -> list[DoseEvent]:
    """Random docetaxel of the envelope, a course of filgrastim after some of the doses."""
    doses = random_doses(generator)
    injections = [
        event
        for dose, follow in pairwise(doses)
        if generator.uniform() < 2.0 / 3.0
        for event in _course_between(generator, dose.start_day + 1.0, follow.start_day - 1.0)
    ]
    return [*doses, *injections]


def _course_between(generator: np.random.Generator, begin: float, end: float) -> list[DoseEvent]:
    first = generator.uniform(begin, begin + 3.0)
    most = max(min(math.floor(end - first), 14), 0)
    # Two courses may fall into the same 21 days: half of the limit each.
    amount = generator.uniform(0.1, min(FILGRASTIM.max_amount_mg, FILGRASTIM.max_amount_21_days_mg / 28.0))
    return filgrastim_course(first, int(generator.integers(0, most + 1)), amount)


def _errors(member: Floats, doses: list[DoseEvent]) -> tuple[float, float]:
    own, given = ([dose for dose in doses if (dose.drug == FILGRASTIM.name) == further] for further in (False, True))
    times = np.arange(0.0, own[-1].start_day + 28.0)
    teacher = simulate_patient(np.exp(member).tolist(), own, given, times)
    steps, report = engine_steps([*own, *given], times)
    counts = NumpyQuartino(KINETICS).simulate(member[None, :], steps)[report, 0]
    return float(relative_error(counts, teacher).max()), float(relative_error(counts.min(), teacher.min()))


def _manifest(certificate: Mapping[str, float | int]) -> dict[str, Any]:
    """The manifest as JSON data, without ``files``."""
    return {
        "schema": SCHEMA,
        "id": BUNDLE_ID,
        "version": VERSION,
        "created": CREATED,
        "expires": EXPIRES,
        "min_runtime": "0.1.0",
        "title": "Neutrophils after docetaxel with or without filgrastim (Quartino model)",
        "drug": DRUG,
        "further_drugs": [_filgrastim()],
        "parameters": [_parameter(index, name) for index, name in enumerate(PARAMETERS)],
        **_shared_values(),
        "outputs": [
            {
                "name": NEUTROPHILS.name,
                "system": str(NEUTROPHILS.system),
                "code": NEUTROPHILS.code,
                "unit": NEUTROPHILS.unit,
            }
        ],
        "residual_log_sd": RESIDUAL_LOG_SD,
        "residual_mark": "A",
        "discrepancy": DISCREPANCY,
        "dose_envelope": DOSE_ENVELOPE,
        "engine": {
            "kind": QUARTINO_GCSF,
            "max_step_days": MAX_STEP_DAYS,
            "tolerance_relative": TOLERANCE,
            "graph": "model.onnx",
            "golden": "golden.npz",
        },
        "engines": ["onnxruntime", "numpy"],
        "certificate": dict(certificate),
        "card": "card.md",
    }


def _filgrastim() -> dict[str, Any]:
    drug = FILGRASTIM
    return {
        "name": drug.name,
        "route": "subcutaneous",
        "depot_per_day": drug.depot_per_day,
        "transit_per_day": drug.transit_per_day,
        "volume_l": drug.volume_l,
        "mark": "U",
        "source": "second-hand, from a re-implementation of Jost et al., arXiv 1911.08980; all of a dose arrives (A)",
        "max_amount_mg": drug.max_amount_mg,
        "max_amount_21_days_mg": drug.max_amount_21_days_mg,
        "min_interval_days": drug.min_interval_days,
        "limits_mark": "A",
    }


def _parameter(index: int, name: str) -> dict[str, Any]:
    omega2 = OMEGA2[index]
    return {
        "name": name,
        "unit": UNITS[name],
        "prior": {"kind": "lognormal", "typical": QUARTINO_2014[index], "omega2": omega2},
        "low": BOX[name][0],
        "high": BOX[name][1],
        "mark": "P",
        "source": SOURCE,
        "box_mark": "A",
        "omega2_mark": "A",
        "omega2_source": BORROWED if omega2 else NO_VARIANCE,
    }


def _shared_values() -> dict[str, Any]:
    """``fixed`` and ``pharmacokinetics``: docetaxel as in the bundle without G-CSF, and the factor's kinetics."""
    document = pharmacokinetics_document()
    rows = (
        ("kcirc", "/d", KINETICS.kcirc_per_day, "P", f"{SOURCE}: half-life of circulating neutrophils 7 h"),
        ("ke", "/d", KINETICS.ke_per_day, "P", f"{SOURCE}: 0.592 /h"),
        ("kanc", "/d/(10*9/L)", KINETICS.kanc_per_day, "P", f"{SOURCE}: 5.64 /h per 10*9/L"),
        ("g0", "ng/L", KINETICS.g0_ng_per_l, "U", f"{SOURCE}: the value; printed as ng/mL, read as ng/L here"),
    )
    further = [dict(zip(("name", "unit", "value", "mark", "source"), row, strict=True)) for row in rows]
    return {**document, "fixed": [*document["fixed"], *further]}


if __name__ == "__main__":
    main()
