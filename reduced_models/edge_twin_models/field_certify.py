"""Scores of a reduced field on teacher runs that it was not made from: its band and its certificate."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin.engines.numpy_field import FieldEngine
from edge_twin.field import FieldModel
from edge_twin_models.field_design import REPORT_DAYS, FieldSample, member_steps, run_sample
from edge_twin_models.field_domain import Domain
from edge_twin_models.field_teacher import GliomaField

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

THRESHOLD = 0.16  # cellularity at the visible edge on T2/FLAIR (Swanson; Lipkova et al. 2019, 10.1109/TMI.2019.2902044)
BATCH = 64  # members whose fields are in memory together


@dataclass(frozen=True, eq=False)
class FieldScores:
    """Errors of n members on the report days, student against teacher.

    Attributes:
        field: [n, t] relative L2 error of the field.
        log_cellularity: [n, t] |Δ ln total cellularity|.
        volume_mm3: [n, t] |Δ volume above ``THRESHOLD``|.
        true_volume_mm3: [n, t] of the teacher.
        inside: [n] whether the guard let the member pass.
        smallest: lowest value of any field of the student.
    """

    field: Floats
    log_cellularity: Floats
    volume_mm3: Floats
    true_volume_mm3: Floats
    inside: Booleans
    smallest: float


def score(
    teacher: GliomaField, model: FieldModel, engine: FieldEngine, sample: FieldSample, executor: Executor | None = None
) -> FieldScores:
    """Run teacher and student on every member and compare them on the whole mask."""
    parts = [_score_batch(teacher, model, engine, part, executor) for part in _batches(sample)]
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("field", "log_cellularity", "volume_mm3", "true_volume_mm3", "inside")
    }
    return FieldScores(**joined, smallest=min(part.smallest for part in parts))


def student_states(model: FieldModel, engine: FieldEngine, domain: Domain, sample: FieldSample) -> Floats:
    """Coefficients [n, t, r] of every member, each started from its projected map."""
    states = []
    for member in range(len(sample.log_parameters)):
        start = model.project(domain.grid(sample.initial[:, member])).coefficients
        steps, report = member_steps(sample, member)
        states.append(engine.run(start[None, :], sample.log_parameters[[member]], steps, report)[:, 0])
    return np.stack(states)


def certificate(scores: FieldScores, model: FieldModel) -> dict[str, float | int]:
    """For the manifest: members inside the guard only, errors as quantiles over members and days."""
    kept = scores.inside
    worst_log, worst_volume = scores.log_cellularity[kept].max(axis=1), scores.volume_mm3[kept].max(axis=1)
    figures: dict[str, float | int] = {
        "runs": int(kept.size),
        "refused_share": float(1.0 - kept.mean()),
        "cellularity_coverage_95": float((worst_log <= model.band.log_cellularity).mean()),
        "volume_coverage_95": float((worst_volume <= model.band.volume_mm3).mean()),
        "largest_volume_mm3": float(scores.true_volume_mm3.max()),
        "smallest_value": scores.smallest,
    }
    errors = {"field_l2": scores.field, "log_cellularity": scores.log_cellularity, "volume_mm3": scores.volume_mm3}
    for name, error in errors.items():
        quantiles = np.quantile(error[kept], (0.5, 0.95, 0.99, 1.0)).tolist()
        figures |= dict(zip((f"{name}_{word}" for word in ("p50", "p95", "p99", "max")), quantiles, strict=True))
    return {name: value if isinstance(value, int) else float(f"{value:.3g}") for name, value in figures.items()}


def _batches(sample: FieldSample) -> Iterator[FieldSample]:
    for first in range(0, len(sample.log_parameters), BATCH):
        part = slice(first, first + BATCH)
        yield FieldSample(
            sample.log_parameters[part],
            sample.initial[:, part],
            sample.fraction_gy[part],
            sample.first_day[part],
            sample.with_drug[part],
        )


def _score_batch(
    teacher: GliomaField, model: FieldModel, engine: FieldEngine, sample: FieldSample, executor: Executor | None
) -> FieldScores:
    truth = run_sample(teacher, sample, executor)
    states = student_states(model, engine, teacher.domain, sample)
    answer = np.stack([_fields(model, teacher.domain, member) for member in states])
    volume, members = teacher.domain.voxel_volume, len(truth)
    totals = np.abs(np.log(model.cellularity(states) / (volume * truth.sum(axis=2))))
    counts = [(values >= THRESHOLD).sum(axis=2) * volume for values in (answer, truth)]
    distance = np.linalg.norm(answer - truth, axis=2) / np.linalg.norm(truth, axis=2)
    shape = (members, len(REPORT_DAYS))
    return FieldScores(
        distance.reshape(shape),
        totals,
        np.abs(counts[0] - counts[1]),
        counts[1].astype(np.float64),
        model.states_inside(states.transpose(1, 0, 2)),
        float(answer.min()),
    )


def _fields(model: FieldModel, domain: Domain, states: Floats) -> Floats:
    """[t, m] of states [t, r], as the bundle decodes them."""
    return np.stack([model.field(state)[domain.mask] for state in states])
