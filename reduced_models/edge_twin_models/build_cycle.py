"""Builds the bundle ``neutropenia-cycle``: ``python -m edge_twin_models.build_cycle [ARCHIVE]``.

Trains (needs the ``distill`` extra), calibrates the band on whole roll-outs, certifies on fresh ones.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_twin.bundle import load_bundle, prior_sample
from edge_twin.cycle import CYCLE_OPERATOR, CycleOperator, Weights
from edge_twin.exposure import DoseEvent
from edge_twin_models import bundle_path
from edge_twin_models.cycle_certify import half_width, roll_out_errors
from edge_twin_models.cycle_design import (
    BOX,
    CYCLES,
    MAX_AMOUNT_21_DAYS_MG,
    MAX_AMOUNT_MG,
    MAX_INFUSION_DAYS,
    MAX_KILL,
    PIECE_DAYS,
)
from edge_twin_models.cycle_train import Recipe, npz_bytes, train
from edge_twin_models.releasing import main

BUNDLE_ID = "neutropenia-cycle"
VERSION = 1
TOLERANCE = 2e-4  # float32 through a chain of cycles, relative
CALIBRATION_SEED, CERTIFICATE_SEED, GOLDEN_SEED = 11, 12, 1
SCHEDULES = 20  # courses per number of cycles
NEIGHBOURS = 2  # numbers of cycles pooled on each side: roll-outs of one course are not independent
GOLDEN_DOSES = ((1.0, 180.0, 1 / 24), (22.0, 135.0, 1 / 24), (57.0, 180.0, 0.1), (71.0, 120.0, 0.0))


def build(directory: Path, weights: bytes | None = None) -> None:
    """Write the bundle.

    Args:
        directory: made when absent; files of the same names are replaced.
        weights: trained earlier by the same recipe; trained now when None.
    """
    content = weights or npz_bytes(train(Recipe()))
    with TemporaryDirectory() as name:
        draft = Path(name)
        _write(draft, content, [[float(CYCLES), 1.0]], {}, _zero_golden())
        draft_bundle = load_bundle(draft)
        operator = CycleOperator(draft_bundle)
        widths = _calibrated(operator, draft)
        certificate = certify(operator, draft, widths)
        golden = _golden(operator, draft)
    _write(directory, content, widths, certificate, golden)


def certify(operator: CycleOperator, directory: Path, widths: list[list[float]]) -> dict[str, Any]:
    """The certificate on fresh roll-outs: per number of cycles and over all.

    Args:
        operator: under test.
        directory: of its bundle.
        widths: calibrated [cycles, half-width].
    """
    bundle = load_bundle(directory)
    rows, inside, excess, handed = [], [], [], []
    for cycles, width in widths:
        errors = roll_out_errors(operator, bundle, int(cycles), SCHEDULES, CERTIFICATE_SEED)
        quantiles = np.quantile(errors.nadir_relative, (0.5, 0.95, 1.0)).tolist()
        row = {
            "cycles": int(cycles),
            "roll_outs": len(errors.score),
            "coverage": round(float((errors.score <= width).mean()), 3),
        }
        row |= dict(zip(("nadir_median", "nadir_p95", "nadir_max"), map(_two, quantiles), strict=True))
        rows.append(row | {"nadir_p95_of_allowed": _two(float(np.quantile(errors.nadir_excess, 0.95)))})
        inside.append(errors.score <= width)
        excess.append(errors.nadir_excess.ravel())
        handed.append(errors.mechanistic)
    return {
        "roll_outs": int(sum(map(len, inside))),
        "coverage_95": round(float(np.concatenate(inside).mean()), 3),
        "nadir_p95_of_allowed": _two(float(np.quantile(np.concatenate(excess), 0.95))),
        "handed_over_share": round(float(np.concatenate(handed).mean()), 3),
        "by_cycles": rows,
    }


def _calibrated(operator: CycleOperator, directory: Path) -> list[list[float]]:
    """[cycles, half-width] by split-conformal calibration on whole roll-outs."""
    bundle = load_bundle(directory)
    scores = [
        roll_out_errors(operator, bundle, cycles, SCHEDULES, CALIBRATION_SEED).score
        for cycles in tqdm(range(1, CYCLES + 1), desc="calibration", leave=False, disable=None)
    ]
    pooled = [np.concatenate(scores[max(0, index - NEIGHBOURS) : index + NEIGHBOURS + 1]) for index in range(CYCLES)]
    return [[float(index + 1), float(f"{half_width(some):.3g}")] for index, some in enumerate(pooled)]


def _golden(operator: CycleOperator, directory: Path) -> bytes:
    bundle = load_bundle(directory)
    parameters = prior_sample(bundle, 16, GOLDEN_SEED)
    times = np.arange(0.0, 99.0, 1.5)
    answer = operator.roll_out(parameters, [DoseEvent(*row) for row in GOLDEN_DOSES], times)
    return _golden_bytes(parameters, times, answer.counts)


def _zero_golden() -> bytes:
    return _golden_bytes(np.zeros((1, 4)), np.zeros(1), np.ones((1, 1)))


def _golden_bytes(parameters: NDArray[np.float64], times: NDArray[np.float64], output: NDArray[np.float64]) -> bytes:
    rounded = np.array([float(f"{value:.8g}") for value in output.ravel()]).reshape(output.shape)
    arrays = {"log_parameters": parameters, "doses": np.array(GOLDEN_DOSES), "times": times, "output": rounded}
    return npz_bytes(arrays)


def _write(
    directory: Path, weights: bytes, widths: list[list[float]], certificate: Mapping[str, Any], golden: bytes
) -> None:
    """The files, the manifest last; what both neutropenia bundles share is taken from the mechanistic one."""
    directory.mkdir(parents=True, exist_ok=True)
    manifest = json.loads(json.dumps(dict(load_bundle(bundle_path("neutropenia")).manifest)))
    manifest |= {"id": BUNDLE_ID, "version": VERSION, "title": "Neutrophils after docetaxel, cycle by cycle"}
    for parameter in manifest["parameters"]:
        if parameter["name"] in BOX:
            parameter["low"], parameter["high"] = BOX[parameter["name"]]
    manifest["dose_envelope"] |= {
        "max_amount_mg": MAX_AMOUNT_MG,
        "max_amount_21_days_mg": MAX_AMOUNT_21_DAYS_MG,
        "max_infusion_days": MAX_INFUSION_DAYS,
        "min_interval_days": PIECE_DAYS[0],
        "max_horizon_days": 550.0,
    }
    step = manifest["engine"]["max_step_days"]
    manifest["engine"] = {
        "kind": CYCLE_OPERATOR,
        "max_step_days": step,
        "tolerance_relative": TOLERANCE,
        "golden": "golden.npz",
    }
    manifest["engines"] = ["numpy"]
    manifest["cycle_operator"] = {
        "weights": "weights.npz",
        "min_piece_days": PIECE_DAYS[0],
        "max_piece_days": PIECE_DAYS[1],
        "learned_values": Weights.from_npz(weights).learned_values,
        "log_half_width_by_cycles": widths,
    }
    manifest["certificate"] = dict(certificate)
    files = {"card.md": _card(manifest).encode(), "golden.npz": golden, "weights.npz": weights}
    manifest["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    files["manifest.json"] = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    for name, content in files.items():
        (directory / name).write_bytes(content)


def _card(manifest: Mapping[str, Any]) -> str:
    """Markdown with what a clinician or an auditor needs."""
    lines = [
        _PURPOSE,
        "## Parameters\n",
        "| parameter | unit | typical | ω² | envelope [A] | source |",
        "|---" * 6 + "|",
    ]
    for row in manifest["parameters"]:
        prior = row["prior"]
        cells = (
            row["name"],
            row["unit"],
            f"{prior['typical']} [{row['mark']}]",
            prior["omega2"] or "none known, 0 [A]",
        )
        lines.append(f"| {' | '.join(map(str, cells))} | {row['low']} – {row['high']} | {row['source']} |")
    learned = manifest["cycle_operator"]["learned_values"]
    lines += [f"\n{_LIMITS.format(learned=learned, kill=MAX_KILL, **manifest['dose_envelope'])}", "## Certificate\n"]
    certificate = manifest["certificate"]
    if certificate:
        lines += [_CERTIFICATE.format(**certificate)]
        lines += ["| cycles | roll-outs | nadir error median | p95 | max | band covers |", "|---" * 6 + "|"]
        lines += [
            f"| {row['cycles']} | {row['roll_outs']} | {row['nadir_median']:.2g} | {row['nadir_p95']:.2g} | "
            f"{row['nadir_max']:.2g} | {100 * row['coverage']:.1f} % |"
            for row in certificate["by_cycles"]
        ]
    return "\n".join(lines) + "\n"


def _two(value: float) -> float:
    """Two significant figures, upwards: a certificate may not promise more than was measured."""
    if value <= 0.0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.2g}")


_PURPOSE = """# Neutrophils after docetaxel, cycle by cycle

## Purpose and intended use

Forecast of the absolute neutrophil count (LOINC 751-8, 10⁹/L) under any docetaxel schedule - delayed, reduced
or omitted cycles, changed intervals - as information for the treating team. It does not decide on treatment,
and it does not replace a blood count. Teacher: the Friberg model of the bundle `neutropenia`.
"""

_LIMITS = """## What it is, and where it holds

A network with {learned} learned values (basis included) maps the state at a dose, the parameters and the dose to
the curve after it and to the state at the next one. Envelope [A]: single doses up to {max_amount_mg:g} mg, infusions
up to {max_infusion_days:g} d, {max_amount_21_days_mg:g} mg within 21 d, at least {min_interval_days:g} d between
starts, {max_horizon_days:g} d simulated, kill ktr·slope·AUC up to about {kill:g}. Outside, and for every
member whose state leaves
the training's box or its 99.9 % Mahalanobis distance, the mechanistic integrator answers and the answer says so. Drug
left from the dose before (less than 1e-4 of it after 7 d) is neglected at the start of a cycle.

Assumed: envelope, log-normal prior with independent parameters, parameters constant over the course, no G-CSF.
Compared with its teacher in simulation only. **Not validated on measured patients.**
"""

_CERTIFICATE = """{roll_outs} fresh roll-outs (patients of the prior; random delays, reductions, omissions, changed
intervals). The simultaneous 95 % band covers {coverage_95:.1%} of them. 95 % of all nadirs err by at most
{nadir_p95_of_allowed:.2g} of what is allowed (2 % or 0.01 10⁹/L). Handed to the mechanistic integrator:
{handed_over_share:.1%} of the members. Errors below are relative; nadirs under 0.05 are compared with 0.05.
"""

if __name__ == "__main__":
    main(BUNDLE_ID, build)
