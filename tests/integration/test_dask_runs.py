"""Teacher runs on a real Dask cluster, by its address: the same bits as in local processes and in this one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

pytest.importorskip("distributed", reason="Dask comes with the extra 'distill'")
pytest.importorskip("scipy", reason="the design of experiments needs it")

from edge_twin.errors import BundleError
from edge_twin_models.cycle_design import DOCETAXEL, CycleRuns, cycle_runs
from edge_twin_models.cycle_design_aml import CYTARABINE
from edge_twin_models.design import (
    CYTARABINE_COURSE,
    DOCETAXEL_COURSE,
    CourseSpace,
    course_sample,
    run_courses,
    runners,
)
from edge_twin_models.teacher import CytarabineLeukocytes, DocetaxelNeutropenia, Teacher

SPACES: list[tuple[Teacher, CourseSpace]] = [
    (DocetaxelNeutropenia(step_days=0.5), DOCETAXEL_COURSE),
    (CytarabineLeukocytes(step_days=0.5), CYTARABINE_COURSE),
]


@contextmanager
def cluster(*, processes: bool) -> Iterator[Any]:
    """A scheduler and two workers that speak TCP, without the dashboard."""
    import distributed  # noqa: PLC0415 - optional

    made = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=processes,
        protocol="tcp://",
        dashboard_address=None,
        worker_dashboard_address=None,
        silence_logs=50,
    )
    try:
        yield made
    finally:
        made.close()


def courses(teacher: Teacher, space: CourseSpace, executor: Executor | None) -> Any:  # noqa: ANN401 - an array
    sample = course_sample(4, 8, 3, space=space)
    days = np.arange(0.0, 43.0, 3.0)
    return run_courses(teacher, sample, [days] * 4, executor, space)


def chains(executor: Executor | None) -> list[CycleRuns]:
    return [cycle_runs(8, 5, 2, design, executor) for design in (DOCETAXEL, CYTARABINE)]


@pytest.mark.timeout(120)
def test_a_cluster_by_address_gives_the_same_bits() -> None:
    here = [courses(teacher, space, None) for teacher, space in SPACES]
    alone = chains(None)
    with cluster(processes=False) as made, runners(2, made.scheduler_address) as executor:
        assert made.scheduler_address.startswith("tcp://")
        for (teacher, space), expected in zip(SPACES, here, strict=True):
            np.testing.assert_array_equal(courses(teacher, space, executor), expected)
        for found, expected in zip(chains(executor), alone, strict=True):
            np.testing.assert_array_equal(found.inputs, expected.inputs)
            np.testing.assert_array_equal(found.curves, expected.curves)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_workers_in_processes_give_the_bits_of_the_process_pool() -> None:
    teacher, space = SPACES[1]
    alone = chains(None)
    with runners(2) as pool:
        expected = courses(teacher, space, pool)
        pooled = chains(pool)
    with cluster(processes=True) as made, runners(0, made.scheduler_address) as executor:
        np.testing.assert_array_equal(courses(teacher, space, executor), expected)
        spread = chains(executor)
    for here, there, beyond in zip(alone, pooled, spread, strict=True):
        np.testing.assert_array_equal(there.curves, here.curves)
        np.testing.assert_array_equal(beyond.curves, here.curves)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_address: str) -> None:
        raise OSError("connection refused")

    monkeypatch.setattr("distributed.Client", refused)
    with pytest.raises(BundleError) as refusal, runners(0, "tcp://127.0.0.1:1"):
        pass
    assert refusal.value.reason == "dask_unreachable"


def test_dask_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_twin_models.design.util.find_spec", lambda _name: None)
    with pytest.raises(BundleError) as refusal, runners(0, "tcp://127.0.0.1:1"):
        pass
    assert refusal.value.reason == "dask_missing"
