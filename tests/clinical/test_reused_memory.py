"""The hot path of a rehearsal: what a second call allocates is small beside the answer, whose memory is reused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from edge_twin.bundle import load_bundle
from edge_twin.course import Course
from edge_twin.cycle import CycleOperator
from edge_twin.engines.course_network import CANDIDATES
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin.quantiles import median_and_interval_in_place
from edge_twin.student import load_student
from edge_twin.surrogate import SurrogateModel
from edge_twin_app.models import load_model
from edge_twin_app.rehearsal_bench import patients
from edge_twin_models import bundle_path

MEMBERS, DAYS = 1000, np.arange(181.0)
COURSE = Course(0.0, 6, 21.0, 180.0, 1 / 24)
DOSES = tuple(DoseEvent(21.0 * cycle, 180.0, 1 / 24) for cycle in range(6))
SINGLE, DOUBLE = 4 * MEMBERS * len(DAYS), 8 * MEMBERS * len(DAYS)
"""Bytes of an answer in float32 and in float64: 724 and 1,448 kB."""


def allocated(work: Callable[[], object]) -> int:
    """Peak of what the third call allocates, as Python and numpy count it."""
    work()
    work()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.fixture(name="members", scope="module")
def _members() -> np.ndarray:
    return patients(MEMBERS, seed=1)


@pytest.mark.parametrize("name", CANDIDATES)
def test_the_students_rehearsal_writes_into_the_same_memory(name: str, members: np.ndarray) -> None:
    bundle = load_bundle(bundle_path("neutropenia-course"))
    student = load_student(bundle)
    try:
        engine = CANDIDATES[name](bundle, student)
    except BundleError as error:
        pytest.skip(str(error))
    model = SurrogateModel(bundle, student, engine, load_model("neutropenia", "numpy"))

    def rehearsal() -> object:
        assert model.members_inside(members, COURSE).all()
        return median_and_interval_in_place(model.fast_counts(members, COURSE, DAYS))

    used = allocated(rehearsal)
    print(f"{name}: {used / 1000:.0f} kB beside an answer of {SINGLE / 1000:.0f} kB")
    assert used < SINGLE / 8


@pytest.mark.parametrize("name", ["onnxruntime", "litert", "numpy"])
def test_the_cycle_operator_allocates_its_answer_and_little_else(name: str, members: np.ndarray) -> None:
    try:
        operator = CycleOperator(load_bundle(bundle_path("neutropenia-cycle")), name)
    except BundleError as error:
        pytest.skip(str(error))
    used = allocated(lambda: operator.roll_out(members, DOSES, DAYS)) - DOUBLE
    print(f"{name}: {used / 1000:.0f} kB beside an answer of {DOUBLE / 1000:.0f} kB")
    assert used < DOUBLE / 4
