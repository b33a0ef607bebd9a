"""Builds the bundle ``glioma-field``: ``python -m edge_twin_models.build_field [ARCHIVE]``.

Runs the reaction-diffusion teacher over its box, decomposes the fields, projects the equation, calibrates the
bands on fresh runs and certifies on others. Needs scipy and onnx, no PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import SCHEMA, load_bundle
from edge_twin.engines.numpy_field import NumpyField, ReducedOperators
from edge_twin.errors import BundleError
from edge_twin.field import REACTION_DIFFUSION_POD, FieldBand, FieldModel
from edge_twin_models.card_field import card
from edge_twin_models.conformal import conformal_quantile
from edge_twin_models.course_export import npz_bytes
from edge_twin_models.field_certify import THRESHOLD, certificate, score, student_states
from edge_twin_models.field_design import (
    DRUG_DAYS,
    FRACTIONS,
    HORIZON_DAYS,
    MAX_FRACTION_GY,
    MAX_STEP_DAYS,
    field_sample,
    member_steps,
    run_sample,
)
from edge_twin_models.field_domain import Domain
from edge_twin_models.field_graph import field_graph
from edge_twin_models.field_teacher import (
    FIXED,
    PARAMETERS,
    REFERENCE_DOSE_MG,
    TEMOZOLOMIDE_PK,
    VOLUME_L,
    GliomaField,
)
from edge_twin_models.galerkin import FieldBasis, decompose_fields, project_equation
from edge_twin_models.releasing import main, opened, with_manifest, write_files
from edge_twin_models.teacher import Teacher

Floats = NDArray[np.float64]

BUNDLE_ID = "glioma-field"
VERSION = 1
CREATED, EXPIRES = "2026-11-25T00:00:00+00:00", "2028-11-25T00:00:00+00:00"
TOLERANCE = 1e-9  # double precision; a roll-out is not chaotic
VISITED = 1e-3  # voxels that no training tumour reaches with this cellularity are not stored
MAX_RESIDUAL = 0.25  # assumed: of a measured map, whose noise counts too
GUARD_QUANTILE = 0.98  # of the largest distance of each of the training's own roll-outs
GUARD_MARGIN = 1.2  # on that distance and on the largest norm
GOLDEN_MEMBERS = 4
MIN_RUNTIME = "0.1.0"
NO_BAND = FieldBand(1.0, 1.0, THRESHOLD)  # until it is calibrated


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """Sizes and seeds of the reduction: number of runs and seed of each sample."""

    modes: int = 16
    design: tuple[int, int] = (192, 21)
    calibration: tuple[int, int] = (2048, 22)
    certificate: tuple[int, int] = (1000, 24)


@dataclass(frozen=True, eq=False)
class _Parts:
    """What a bundle is made of, more and more of it known."""

    basis: FieldBasis
    operators: ReducedOperators
    domain: Domain
    stored: NDArray[np.int64]
    centre: Floats
    precision: Floats
    golden: bytes
    max_distance: float = 1e12
    max_norm: float = 1e12
    band: FieldBand = NO_BAND
    certificate: Mapping[str, float | int] | None = None


class PodGalerkin:
    """Reduction method: POD of the fields and Galerkin projection of the equation.

    Args:
        plan: sizes and seeds.
        executor: where the teacher runs; this process when None.
    """

    name = "field"
    suffix = ""

    def __init__(self, plan: FieldPlan | None = None, executor: Executor | None = None) -> None:
        self._plan, self._executor = plan or FieldPlan(), executor

    def reduce(self, teacher: Teacher) -> Mapping[str, bytes]:
        """See ``teacher.ReductionMethod``."""
        if not isinstance(teacher, GliomaField):
            raise BundleError(f"{teacher.name} is no field", reason="method_not_for_teacher")
        parts = self._projected(teacher)
        parts = self._guarded(teacher, parts)
        parts = self._calibrated(teacher, parts)
        sample = field_sample(teacher.domain, *self._plan.certificate, quasi=False)
        model, engine = _opened(parts)
        measured = certificate(score(teacher, model, engine, sample, self._executor), model)
        return bundle_files(replace(parts, certificate=measured))

    def _projected(self, teacher: GliomaField) -> _Parts:
        domain, sample = teacher.domain, field_sample(teacher.domain, *self._plan.design)
        fields = run_sample(teacher, sample, self._executor)
        snapshots = fields.reshape(-1, domain.voxels).T
        basis = decompose_fields(snapshots, self._plan.modes, domain.voxel_volume)
        operators = project_equation(basis, domain)
        stored = np.flatnonzero(np.abs(snapshots).max(axis=1) >= VISITED)
        shapes = basis.project(snapshots)
        shapes /= np.linalg.norm(shapes, axis=1, keepdims=True)
        precision = np.asarray(np.linalg.inv(np.cov(shapes.T)))
        golden = _golden(teacher, basis, operators)
        return _Parts(basis, operators, domain, stored, shapes.mean(axis=0), 0.5 * (precision + precision.T), golden)

    def _guarded(self, teacher: GliomaField, parts: _Parts) -> _Parts:
        """Distance and norm of the student's own roll-outs over the design, with a margin."""
        model, engine = _opened(parts)
        sample = field_sample(teacher.domain, *self._plan.design)
        states = student_states(model, engine, teacher.domain, sample)
        distance = GUARD_MARGIN * float(np.quantile(model.shape_distance(states).max(axis=1), GUARD_QUANTILE))
        norm = GUARD_MARGIN * float(np.linalg.norm(states, axis=2).max())
        return replace(parts, max_distance=_rounded(distance), max_norm=_rounded(norm))

    def _calibrated(self, teacher: GliomaField, parts: _Parts) -> _Parts:
        model, engine = _opened(parts)
        sample = field_sample(teacher.domain, *self._plan.calibration, quasi=False)
        scores = score(teacher, model, engine, sample, self._executor)
        kept = scores.inside
        log = conformal_quantile(scores.log_cellularity[kept].max(axis=1))
        volume = conformal_quantile(scores.volume_mm3[kept].max(axis=1))
        return replace(parts, band=FieldBand(_rounded(log), volume, THRESHOLD))


def build(directory: Path, plan: FieldPlan | None = None, executor: Executor | None = None) -> None:
    """Write the bundle and check that it opens; files of the same names are replaced."""
    write_files(directory, PodGalerkin(plan, executor).reduce(GliomaField()))
    FieldModel(load_bundle(directory))


def bundle_files(parts: _Parts) -> Mapping[str, bytes]:
    """All files of the bundle, ``manifest.json`` included."""
    manifest = _manifest(parts)
    contents = {
        "card.md": card(manifest).encode(),
        "field.npz": npz_bytes(_arrays(parts)),
        "golden.npz": parts.golden,
        "model.onnx": field_graph(parts.operators, BUNDLE_ID),
    }
    return with_manifest(manifest, contents)


def _opened(parts: _Parts) -> tuple[FieldModel, NumpyField]:
    """The bundle so far, read as a device would."""
    model = FieldModel(opened(bundle_files(parts)))
    return model, NumpyField(model.operators)


def _arrays(parts: _Parts) -> dict[str, NDArray[Any]]:
    inside, modes = np.flatnonzero(parts.domain.mask), parts.basis.modes[parts.stored]
    scale = np.abs(modes).max(axis=0) / np.iinfo(np.int16).max
    return {
        "modes": np.rint(modes / scale).astype(np.int16),  # half the size of float32; decoding only, not the equation
        "mode_scale": scale,
        "voxels": inside[parts.stored].astype(np.int32),
        "cellularity": parts.basis.voxel_volume * parts.basis.modes.sum(axis=0),
        "diffusion": parts.operators.diffusion,
        "quadratic": parts.operators.quadratic,
        "centre": parts.centre,
        "precision": parts.precision,
    }


def _golden(teacher: GliomaField, basis: FieldBasis, operators: ReducedOperators) -> bytes:
    """Members of the envelope under one treatment with radiation and drug."""
    sample = field_sample(teacher.domain, 4 * GOLDEN_MEMBERS, 1, quasi=False)
    member = int(np.flatnonzero(sample.with_drug)[0])
    steps, _ = member_steps(sample, member)
    parameters, initial = sample.log_parameters[:GOLDEN_MEMBERS], basis.project(sample.initial[:, :GOLDEN_MEMBERS])
    states = NumpyField(operators).run(initial, parameters, steps, np.arange(len(steps) + 1))
    total = states @ (basis.voxel_volume * basis.modes.sum(axis=0))
    arrays = {"log_parameters": parameters, "steps": steps, "output": total, "initial": initial, "final": states[-1]}
    return npz_bytes(arrays)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _manifest(parts: _Parts) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "id": BUNDLE_ID,
        "version": VERSION,
        "created": CREATED,
        "expires": EXPIRES,
        "min_runtime": MIN_RUNTIME,
        "title": "Tumour cellularity under radiotherapy and temozolomide, one synthetic brain (building block)",
        "drug": GliomaField.drug,
        "parameters": [parameter.as_json() for parameter in PARAMETERS],
        "fixed": [
            {name: getattr(item, name) for name in ("name", "unit", "value", "mark", "source")} for item in FIXED
        ],
        "pharmacokinetics": {
            "rate_matrix_per_day": TEMOZOLOMIDE_PK.rate_matrix.tolist(),
            "volume_l": VOLUME_L,
            "molar_factor_mg_per_umol": TEMOZOLOMIDE_PK.molar_factor,
            "mark": "U",
        },
        "outputs": [
            {"name": "tumour_cellularity", "system": "urn:edge-twin", "code": "tumour_cellularity", "unit": "mm3"}
        ],
        "residual_log_sd": GliomaField.residual_log_sd,
        "dose_envelope": {
            "max_amount_mg": REFERENCE_DOSE_MG,
            "max_infusion_days": 0.0,
            "max_amount_21_days_mg": 21.0 * REFERENCE_DOSE_MG,
            "min_interval_days": 1.0,
            "max_horizon_days": HORIZON_DAYS,
        },
        "engine": {
            "kind": REACTION_DIFFUSION_POD,
            "max_step_days": MAX_STEP_DAYS,
            "tolerance_relative": TOLERANCE,
            "graph": "model.onnx",
            "golden": "golden.npz",
        },
        "engines": ["numpy", "onnxruntime"],
        "field": _field(parts),
        "certificate": dict(parts.certificate or {}),
        "card": "card.md",
    }


def _field(parts: _Parts) -> dict[str, Any]:
    return {
        "arrays": "field.npz",
        "shape": [list(parts.domain.mask.shape)],
        "spacing_mm": [list(parts.domain.spacing_mm)],
        "modes": parts.operators.size,
        "stored_voxels": len(parts.stored),
        "energy_left": _rounded(parts.basis.energy_left),
        "capacity": parts.operators.capacity,
        "alpha_beta_gy": parts.operators.alpha_beta_gy,
        "envelope": {
            "max_fraction_gy": MAX_FRACTION_GY,
            "max_fractions": FRACTIONS,
            "min_fraction_interval_days": 1.0,
            "drug_days": DRUG_DAYS,
            "max_residual": MAX_RESIDUAL,
            "max_distance": parts.max_distance,
            "max_norm": parts.max_norm,
        },
        "conformal": {"level": 0.95, **parts.band._asdict()},
    }


if __name__ == "__main__":
    main(BUNDLE_ID, build)
