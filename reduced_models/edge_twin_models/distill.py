"""Event-aligned distillation of the neutropenia teacher: design, POD, network, conformal band, certificate, export.

The result is a signed archive. Everything is seeded: the same sources on the same machine give the
same weights, whatever runs the teacher.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import SCHEMA, open_bundle
from edge_twin.course import Course, WarpedGrid
from edge_twin.engines.course_network import CANDIDATES, NumpyCourse
from edge_twin.errors import BundleError
from edge_twin.exposure import exposure_grid
from edge_twin.release import signed_files
from edge_twin.signing import DEVELOPMENT, SigningKey, TrustedKeys
from edge_twin.student import COURSE_NETWORK, CourseEnvelope, Student, load_student
from edge_twin_models import development_key
from edge_twin_models.build_neutropenia import CREATED, EXPIRES, MIN_RUNTIME, ROW, pharmacokinetics_document
from edge_twin_models.card_course import card
from edge_twin_models.certify import DAYS, CourseCertificate, certify_course, scored_runs
from edge_twin_models.conformal import conformal_quantile, simultaneous_score
from edge_twin_models.course_export import litert_bytes, npz_bytes, onnx_bytes, single_arrays
from edge_twin_models.design import (
    BOX,
    CYCLES,
    HORIZON_DAYS,
    INFUSION_DAYS,
    MAX_SLOPE_DOSE,
    CourseSample,
    course_doses,
    course_sample,
    population_sample,
    run_courses,
)
from edge_twin_models.friberg import DOCETAXEL_PK
from edge_twin_models.network import Training, train
from edge_twin_models.pod import Basis, decompose
from edge_twin_models.teacher import TEACHERS, Teacher, TeacherParameter

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

BUNDLE_ID = "neutropenia-course"
VERSION = 1
GRID = WarpedGrid(cycles=CYCLES, points_per_cycle=32, tail_points=28, tail_power=1.5, horizon_days=HORIZON_DAYS)
FLOOR = 0.01
TOLERANCE = 2e-5
GOLDEN_MEMBERS, GOLDEN_INTERVAL_DAYS, GOLDEN_DOSE_MG = 16, 21.0, 150.0
DISTANCE_QUANTILE = 0.99
FEATURES = ("mtt", "slope", "gamma", "dose", "interval")


TRAINING = Training(epochs=700)


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and seeds of a distillation; groups × patients of each sample."""

    modes: int = 32
    training: Training = TRAINING
    design: tuple[int, int, int] = (128, 256, 11)
    calibration: tuple[int, int, int] = (128, 16, 12)
    certificate: tuple[int, int, int] = (100, 11, 13)
    population: tuple[int, int, int] = (50, 20, 14)


SHIPPED_PLAN = Plan()


class EventAlignedPod:
    """Reduction method: POD on the dose-aligned grid and a network for its coefficients.

    Args:
        plan: sizes and seeds.
        executor: where the teacher runs; this process when None.
    """

    name = "event_aligned_pod"

    def __init__(self, plan: Plan = SHIPPED_PLAN, executor: Executor | None = None) -> None:
        self._plan, self._executor = plan, executor

    def reduce(self, teacher: Teacher) -> Mapping[str, bytes]:
        """See ``teacher.ReductionMethod``."""
        sample = course_sample(*self._plan.design)
        weights = self.weights(teacher, sample)
        student = Student(weights, GRID, FLOOR, _envelope(sample), 1.0)
        student = replace(student, log_half_width=self._half_width(teacher, student))
        return bundle_files(teacher, student, self._certificates(teacher, student))

    def weights(self, teacher: Teacher, sample: CourseSample) -> dict[str, Singles]:
        """Trained arrays by name."""
        nodes = [GRID.node_days(interval) for interval in sample.intervals.tolist()]
        curves = np.log(run_courses(teacher, sample, nodes, self._executor) + FLOOR)
        basis = decompose(curves, self._plan.modes)
        return trained_arrays(sample, curves, basis, self._plan.training)

    def _half_width(self, teacher: Teacher, student: Student) -> float:
        sample = course_sample(*self._plan.calibration, quasi=False)
        truth, answer, _ = scored_runs(teacher, student, numpy_course(student), sample, self._executor)
        return float(f"{conformal_quantile(simultaneous_score(answer, truth, FLOOR)):.6g}")

    def _certificates(self, teacher: Teacher, student: Student) -> dict[str, CourseCertificate]:
        samples = {
            "envelope": course_sample(*self._plan.certificate, quasi=False),
            "population": population_sample(teacher, *self._plan.population),
        }
        engine = numpy_course(student)
        return {name: certify_course(teacher, student, engine, s, self._executor) for name, s in samples.items()}


def trained_arrays(sample: CourseSample, curves: Floats, basis: Basis, training: Training) -> dict[str, Singles]:
    """Network and basis as float32; slope and dose enter the network as their product and get its row twice."""
    features = sample.features
    inputs = np.column_stack((features[:, 0], features[:, 1] + features[:, 3], features[:, 2], features[:, 4]))
    layers = train(inputs, basis.project(curves), training)
    mtt, product, gamma, interval = layers.weights[0]
    first = np.stack((mtt, product, gamma, product, interval))
    arrays = single_arrays(tuple(zip((first, *layers.weights[1:]), layers.biases, strict=True)))
    return {**arrays, "modes": basis.modes.astype(np.float32), "mean": basis.mean.astype(np.float32)}


def numpy_course(student: Student) -> NumpyCourse:
    """The numpy engine of a student that is not in a bundle yet."""
    return NumpyCourse(student)


def bundle_files(
    teacher: Teacher, student: Student, certificates: Mapping[str, CourseCertificate]
) -> Mapping[str, bytes]:
    """All files of the bundle, ``manifest.json`` included."""
    arrays = student.arrays
    measured = {name: certificate.as_json() for name, certificate in certificates.items()}
    contents = {
        "card.md": card(measured, student, teacher.parameters, BOX, MAX_SLOPE_DOSE).encode(),
        "golden.npz": _golden(student),
        "model.onnx": onnx_bytes(arrays, student.floor, BUNDLE_ID),
        "model.tflite": litert_bytes(arrays),
        "weights.npz": npz_bytes(arrays),
    }
    manifest = _manifest(teacher, student, measured)
    manifest["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    contents["manifest.json"] = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    return contents


def distill(
    name: str,
    archive: Path,
    plan: Plan = SHIPPED_PLAN,
    executor: Executor | None = None,
    key: SigningKey | None = None,
) -> Path:
    """Distil a teacher into a signed archive and check that it opens as a device would open it.

    Args:
        name: of the teacher.
        archive: file to write; its folder is made when absent.
        plan: sizes and seeds.
        executor: where the teacher runs; this process when None.
        key: of the site; the DEVELOPMENT key when None.

    Raises:
        BundleError: ``teacher_unknown``; whatever signing or opening the result refuses. Then nothing is written.
    """
    if name not in TEACHERS:
        raise BundleError(f"no teacher {name!r}; known: {', '.join(TEACHERS)}", reason="teacher_unknown")
    key = key or development_key()
    content = signed_files(EventAlignedPod(plan, executor).reduce(TEACHERS[name]()), key)
    load_student(open_bundle(content, TrustedKeys(DEVELOPMENT, (key.trusted,))))
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(content)
    return archive


def _envelope(sample: CourseSample) -> CourseEnvelope:
    features = sample.features
    centre, precision = features.mean(axis=0), np.linalg.inv(np.cov(features.T)).astype(np.float64)
    away = features - centre
    distance = float(np.quantile(((away @ precision) * away).sum(axis=1), DISTANCE_QUANTILE))
    low, high = np.log([BOX[name] for name in FEATURES]).T
    return CourseEnvelope(low, high, float(np.log(MAX_SLOPE_DOSE)), INFUSION_DAYS, centre, precision, distance)


def _golden(student: Student) -> bytes:
    """Members of the envelope under one course; ``steps`` hold whole days with the exposure of each."""
    sample = course_sample(1, 4 * GOLDEN_MEMBERS, 1, quasi=False)
    members = np.array([[float(f"{v:.8g}") for v in row] for row in sample.log_parameters])
    course = Course(0.0, CYCLES, GOLDEN_INTERVAL_DAYS, GOLDEN_DOSE_MG, INFUSION_DAYS)
    members = members[student.envelope.inside(student.features(members, course))][:GOLDEN_MEMBERS]
    exposure = exposure_grid(DOCETAXEL_PK, course_doses(GOLDEN_INTERVAL_DAYS, GOLDEN_DOSE_MG), DAYS)
    daily = np.add.reduceat(exposure.steps[:, 1], exposure.report[:-1])
    counts = _exact_counts(student, members, course)
    steps = np.column_stack((np.ones(len(daily)), daily))
    return npz_bytes({"log_parameters": members, "steps": steps, "output": counts})


def _exact_counts(student: Student, members: Floats, course: Course) -> Floats:
    """[t, n] in double precision from the single-precision weights: what the engines are compared with."""
    a = {name: array.astype(np.float64) for name, array in student.arrays.items()}
    one = student.features(members, course) @ a["w1"] + a["b1"]
    two = (one / (1.0 + np.exp(-one))) @ a["w2"] + a["b2"]
    latent = (two / (1.0 + np.exp(-two))) @ a["w3"] + a["b3"]
    basis = student.calendar(course, DAYS)
    relative = np.exp(basis.modes.astype(np.float64) @ latent.T + basis.mean) - student.floor
    return np.asarray(np.maximum(relative, 0.0) * np.exp(members[:, 0]))


def _manifest(teacher: Teacher, student: Student, certificates: Mapping[str, Any]) -> dict[str, Any]:
    (output,) = teacher.outputs
    return {
        "schema": SCHEMA,
        "id": BUNDLE_ID,
        "version": VERSION,
        "created": CREATED,
        "expires": EXPIRES,
        "min_runtime": MIN_RUNTIME,
        "title": "Neutrophils over six equal cycles of docetaxel (learned from the Friberg model)",
        "drug": "docetaxel",
        "parameters": [_parameter(parameter) for parameter in teacher.parameters],
        **pharmacokinetics_document(),
        "outputs": [{"name": output.name, "system": output.system, "code": output.code, "unit": output.unit}],
        "residual_log_sd": ROW.residual_log_sd,
        "dose_envelope": {
            "max_amount_mg": BOX["dose"][1],
            "max_infusion_days": INFUSION_DAYS,
            "max_amount_21_days_mg": 2.0 * BOX["dose"][1],
            "min_interval_days": BOX["interval"][0],
            "max_horizon_days": HORIZON_DAYS,
        },
        "engine": {
            "kind": COURSE_NETWORK,
            "max_step_days": 1.0,
            "tolerance_relative": TOLERANCE,
            "graph": "model.onnx",
            "golden": "golden.npz",
        },
        "engines": list(CANDIDATES),
        "student": _student(student),
        "certificate": dict(certificates),
        "card": "card.md",
    }


def _student(student: Student) -> dict[str, Any]:
    envelope = student.envelope
    return {
        "weights": "weights.npz",
        "litert": "model.tflite",
        "floor": student.floor,
        "parameters": student.parameters,
        "grid": {name: getattr(student.grid, name) for name in WarpedGrid.__slots__},
        "envelope": {
            "features": list(FEATURES),
            "log_low": [envelope.low.tolist()],
            "log_high": [envelope.high.tolist()],
            "max_log_slope_dose": envelope.max_log_slope_dose,
            "infusion_days": envelope.infusion_days,
            "centre": [envelope.centre.tolist()],
            "precision": envelope.precision.tolist(),
            "max_distance": envelope.max_distance,
        },
        "conformal": {"level": 0.95, "log_half_width": student.log_half_width},
        "golden_course": {"interval_days": GOLDEN_INTERVAL_DAYS, "amount_mg": GOLDEN_DOSE_MG},
    }


def _parameter(parameter: TeacherParameter) -> dict[str, Any]:
    low, high = BOX[parameter.name]
    return {
        "name": parameter.name,
        "unit": parameter.unit,
        "prior": {"kind": "lognormal", "typical": parameter.typical, "omega2": parameter.omega2},
        "low": low,
        "high": high,
        "mark": parameter.mark,
        "source": parameter.source,
        "box_mark": "A",
    }
