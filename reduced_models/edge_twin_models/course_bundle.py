"""The files of a course student's bundle: manifest, envelope, golden vectors, card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import SCHEMA
from edge_twin.course import Course
from edge_twin.engines.course_network import CANDIDATES
from edge_twin.exposure import exposure_grid
from edge_twin.student import COURSE_NETWORK, CourseEnvelope, Student
from edge_twin_models.build_neutropenia import CREATED, EXPIRES, MIN_RUNTIME
from edge_twin_models.card_course import card
from edge_twin_models.certify import CourseCertificate
from edge_twin_models.course_export import litert_bytes, npz_bytes, onnx_bytes
from edge_twin_models.course_recipes import CourseRecipe
from edge_twin_models.design import CourseSample, CourseSpace, course_doses, course_sample
from edge_twin_models.releasing import with_manifest
from edge_twin_models.teacher import Teacher, TeacherParameter

Floats = NDArray[np.float64]

VERSION = 1
TOLERANCE = 2e-5
GOLDEN_MEMBERS = 16
DISTANCE_QUANTILE = 0.99


def bundle_files(
    teacher: Teacher, student: Student, recipe: CourseRecipe, certificates: Mapping[str, CourseCertificate]
) -> Mapping[str, bytes]:
    """All files of the bundle, ``manifest.json`` included."""
    arrays = student.arrays
    measured = {name: certificate.as_json() for name, certificate in certificates.items()}
    contents = {
        "card.md": card(measured, student, teacher.parameters, recipe.space.box, recipe.texts).encode(),
        "golden.npz": _golden(teacher, student, recipe),
        "model.onnx": onnx_bytes(arrays, student.floor, bundle_id(teacher)),
        "model.tflite": litert_bytes(arrays),
        "weights.npz": npz_bytes(arrays),
    }
    manifest = _manifest(teacher, student, recipe, measured)
    return with_manifest(manifest, contents)


def bundle_id(teacher: Teacher) -> str:
    """Name of the bundle of the course."""
    return f"{teacher.name}-course"


def course_envelope(sample: CourseSample, space: CourseSpace) -> CourseEnvelope:
    """Box, bound of the kill and Mahalanobis distance of a design."""
    features = sample.features
    centre, precision = features.mean(axis=0), np.linalg.inv(np.cov(features.T)).astype(np.float64)
    away = features - centre
    distance = float(np.quantile(((away @ precision) * away).sum(axis=1), DISTANCE_QUANTILE))
    low, high = space.log_bounds(space.features)
    kill = np.array(space.kill_weights)
    offsets = space.offsets_days
    return CourseEnvelope(
        low, high, kill, space.max_log_kill, space.infusion_days, centre, precision, distance, offsets
    )


def _golden(teacher: Teacher, student: Student, recipe: CourseRecipe) -> bytes:
    """Members of the envelope under one course; ``steps`` hold whole days with the exposure of each."""
    space, interval, amount = recipe.space, recipe.golden_interval_days, recipe.golden_dose_mg
    sample = course_sample(1, 4 * GOLDEN_MEMBERS, 1, quasi=False, space=space)
    members = np.array([[float(f"{v:.8g}") for v in row] for row in sample.log_parameters])
    course = Course(0.0, space.cycles, interval, amount, space.infusion_days, space.offsets_days)
    members = members[student.envelope.inside(student.features(members, course))][:GOLDEN_MEMBERS]
    exposure = exposure_grid(teacher.pharmacokinetics, course_doses(interval, amount, space), space.days)
    daily = np.add.reduceat(exposure.steps[:, 1], exposure.report[:-1])
    counts = _exact_counts(student, members, course, space.days)
    steps = np.column_stack((np.ones(len(daily)), daily))
    return npz_bytes({"log_parameters": members, "steps": steps, "output": counts})


def _exact_counts(student: Student, members: Floats, course: Course, days: Floats) -> Floats:
    """[t, n] in double precision from the single-precision weights: what the engines are compared with."""
    a = {name: array.astype(np.float64) for name, array in student.arrays.items()}
    one = student.features(members, course) @ a["w1"] + a["b1"]
    two = (one / (1.0 + np.exp(-one))) @ a["w2"] + a["b2"]
    latent = (two / (1.0 + np.exp(-two))) @ a["w3"] + a["b3"]
    basis = student.calendar(course, days)
    relative = np.exp(basis.modes.astype(np.float64) @ latent.T + basis.mean) - student.floor
    return np.asarray(np.maximum(relative, 0.0) * np.exp(members[:, 0]))


def _manifest(
    teacher: Teacher, student: Student, recipe: CourseRecipe, certificates: Mapping[str, Any]
) -> dict[str, Any]:
    (output,) = teacher.outputs
    space = recipe.space
    return {
        "schema": SCHEMA,
        "id": bundle_id(teacher),
        "version": VERSION,
        "created": CREATED,
        "expires": EXPIRES,
        "min_runtime": MIN_RUNTIME,
        "title": recipe.title,
        "drug": teacher.drug,
        "parameters": [parameter_document(parameter, space.box) for parameter in teacher.parameters],
        **recipe.drug_document(),
        "outputs": [{"name": output.name, "system": output.system, "code": output.code, "unit": output.unit}],
        "residual_log_sd": teacher.residual_log_sd,
        "dose_envelope": _dose_envelope(space),
        "engine": {
            "kind": COURSE_NETWORK,
            "max_step_days": 1.0,
            "tolerance_relative": TOLERANCE,
            "graph": "model.onnx",
            "golden": "golden.npz",
        },
        "engines": list(CANDIDATES),
        "student": _student(student, recipe),
        "certificate": dict(certificates),
        "card": "card.md",
    }


def _dose_envelope(space: CourseSpace) -> dict[str, float]:
    """What the box and the cycle allow; two starts of a cycle may fall within 21 days."""
    highest, shortest = space.box["dose"][1], space.box["interval"][0]
    together = 2 if shortest < 21.0 else 1  # noqa: PLR2004 - the window of the manifest
    within = np.diff(space.offsets_days).min(initial=shortest)
    return {
        "max_amount_mg": highest,
        "max_infusion_days": space.infusion_days,
        "max_amount_21_days_mg": together * len(space.offsets_days) * highest,
        "min_interval_days": float(within),
        "max_horizon_days": space.horizon_days,
    }


def _student(student: Student, recipe: CourseRecipe) -> dict[str, Any]:
    envelope = student.envelope
    several = {"offsets_days": [list(envelope.offsets_days)]} if len(envelope.offsets_days) > 1 else {}
    return {
        "weights": "weights.npz",
        "litert": "model.tflite",
        "floor": student.floor,
        "parameters": student.parameters,
        "grid": student.grid.as_json(),
        "envelope": {
            "features": list(recipe.space.features),
            "log_low": [envelope.low.tolist()],
            "log_high": [envelope.high.tolist()],
            "kill_weights": [envelope.kill_weights.tolist()],
            "max_log_kill": envelope.max_log_kill,
            "infusion_days": envelope.infusion_days,
            **several,
            "centre": [envelope.centre.tolist()],
            "precision": envelope.precision.tolist(),
            "max_distance": envelope.max_distance,
        },
        "conformal": {"level": 0.95, "log_half_width": student.log_half_width},
        "golden_course": {"interval_days": recipe.golden_interval_days, "amount_mg": recipe.golden_dose_mg},
    }


def parameter_document(parameter: TeacherParameter, box: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """A parameter as the manifest holds it; the mark of the variance where it is another one."""
    low, high = box[parameter.name]
    own = {"omega2_mark": parameter.omega2_mark, "omega2_source": parameter.omega2_source}
    return {
        "name": parameter.name,
        "unit": parameter.unit,
        "prior": {"kind": "lognormal", "typical": parameter.typical, "omega2": parameter.omega2},
        "low": low,
        "high": high,
        "mark": parameter.mark,
        "source": parameter.source,
        "box_mark": "A",
        **({} if parameter.omega2_mark == parameter.mark else own),
    }
