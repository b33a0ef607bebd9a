"""Event-aligned distillation of a teacher: design, POD, network, conformal band, certificate, export.

Everything is seeded: the same sources on the same machine give the same weights, whatever runs the teacher.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edge_twin.engines.course_network import NumpyCourse
from edge_twin.errors import BundleError
from edge_twin.student import Student
from edge_twin_models.certify import CourseCertificate, certify_course, scored_runs
from edge_twin_models.conformal import conformal_quantile, simultaneous_score
from edge_twin_models.course_bundle import bundle_files, course_envelope
from edge_twin_models.course_export import single_arrays
from edge_twin_models.course_recipes import RECIPES, CourseRecipe, Plan
from edge_twin_models.design import CourseSample, course_sample, population_sample, run_courses
from edge_twin_models.network import Layers, Training, train
from edge_twin_models.pod import Basis, decompose
from edge_twin_models.teacher import Teacher

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


class EventAlignedPod:
    """Reduction method: POD on the dose-aligned grid and a network for its coefficients.

    Args:
        plan: sizes and seeds; the shipped ones of the teacher's recipe when None.
        executor: where the teacher runs; this process when None.
        weights: trained earlier by the same recipe, by name; trained now when None.
    """

    name = "course"
    suffix = "-course"

    def __init__(
        self,
        plan: Plan | None = None,
        executor: Executor | None = None,
        weights: Mapping[str, Singles] | None = None,
    ) -> None:
        self._plan, self._executor, self._weights = plan, executor, weights

    def reduce(self, teacher: Teacher) -> Mapping[str, bytes]:
        """See ``teacher.ReductionMethod``."""
        recipe = self._recipe(teacher)
        sample = course_sample(*recipe.plan.design, space=recipe.space)
        weights = self._weights or self.weights(teacher, sample)
        student = Student(weights, recipe.grid, recipe.floor, course_envelope(sample, recipe.space), 1.0)
        student = replace(student, log_half_width=self._half_width(teacher, student, recipe))
        return bundle_files(teacher, student, recipe, self._certificates(teacher, student, recipe))

    def weights(self, teacher: Teacher, sample: CourseSample) -> dict[str, Singles]:
        """Trained arrays by name."""
        recipe = self._recipe(teacher)
        nodes = [recipe.grid.node_days(interval) for interval in sample.intervals.tolist()]
        curves = np.log(run_courses(teacher, sample, nodes, self._executor, recipe.space) + recipe.floor)
        basis = decompose(curves, recipe.plan.modes)
        merged = recipe.space.reference_dose_mg is not None
        return trained_arrays(sample, curves, basis, recipe.plan.training, merged=merged)

    def _recipe(self, teacher: Teacher) -> CourseRecipe:
        if teacher.name not in RECIPES:
            raise BundleError(f"no recipe for a course of {teacher.name}", reason="method_not_for_teacher")
        recipe = RECIPES[teacher.name]
        return replace(recipe, plan=self._plan) if self._plan else recipe

    def _half_width(self, teacher: Teacher, student: Student, recipe: CourseRecipe) -> float:
        sample = course_sample(*recipe.plan.calibration, quasi=False, space=recipe.space)
        engine = NumpyCourse(student)
        truth, answer, _ = scored_runs(teacher, student, engine, sample, self._executor, recipe.space)
        return float(f"{conformal_quantile(simultaneous_score(answer, truth, recipe.floor)):.6g}")

    def _certificates(self, teacher: Teacher, student: Student, recipe: CourseRecipe) -> dict[str, CourseCertificate]:
        samples = {
            "envelope": course_sample(*recipe.plan.certificate, quasi=False, space=recipe.space),
            "population": population_sample(teacher, *recipe.plan.population, space=recipe.space),
        }
        certify = partial(certify_course, teacher, student, NumpyCourse(student))
        return {name: certify(sample, self._executor, recipe.space) for name, sample in samples.items()}


def trained_arrays(
    sample: CourseSample, curves: Floats, basis: Basis, training: Training, *, merged: bool
) -> dict[str, Singles]:
    """Network and basis as float32.

    Args:
        sample: design.
        curves: [n, g] of it.
        basis: of the curves.
        training: of the network.
        merged: whether slope and dose enter the network as their product; it then gets its row twice.
    """
    layers = _merged_layers if merged else train
    fitted = layers(sample.features, basis.project(curves), training)
    arrays = single_arrays(tuple(zip(fitted.weights, fitted.biases, strict=True)))
    return {**arrays, "modes": basis.modes.astype(np.float32), "mean": basis.mean.astype(np.float32)}


def _merged_layers(features: Floats, targets: Floats, training: Training) -> Layers:
    inputs = np.column_stack((features[:, 0], features[:, 1] + features[:, 3], features[:, 2], features[:, 4]))
    layers = train(inputs, targets, training)
    time, product, gamma, interval = layers.weights[0]
    first = np.stack((time, product, gamma, product, interval))
    return Layers((first, *layers.weights[1:]), layers.biases)
