"""Cycles of several administrations: recognised exactly, laid out on the grid, described to the networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.bundle import load_bundle
from edge_twin.concentration import cycle_effect, log_concentrations
from edge_twin.course import WarpedGrid, equal_course
from edge_twin.cycle_forms import cycle_starts, form_of
from edge_twin.engines.numpy_jost import NumpyJost
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent, exposure_grid
from edge_twin.student import load_student
from edge_twin_models import bundle_path

pytest.importorskip("scipy", reason="the teacher needs it")

from edge_twin_models.jost import CYTARABINE_PK, KWBC_PER_DAY

OFFSETS = (0.0, 0.5, 2.0, 2.5, 4.0, 4.5)
GRID = WarpedGrid(3, 54, 24, 1.5, 120.0, dosing_days=5.0, dosing_points=10)


def course(start: float, interval: float, cycles: int = 3, amount: float = 1800.0) -> list[DoseEvent]:
    return [
        DoseEvent(start + interval * cycle + offset, amount, 0.125) for cycle in range(cycles) for offset in OFFSETS
    ]


@given(st.floats(-50.0, 50.0), st.floats(6.0, 60.0), st.integers(2, 5))
def test_equal_cycles_are_recognised_in_any_order(start: float, interval: float, cycles: int) -> None:
    found = equal_course(course(start, interval, cycles)[::-1], OFFSETS)
    assert found is not None
    assert (found.cycles, found.offsets_days) == (cycles, OFFSETS)
    assert found.interval_days == pytest.approx(interval)


@pytest.mark.parametrize("index", range(18))
def test_one_changed_administration_is_no_equal_course(index: int) -> None:
    doses = course(0.0, 28.0)
    for changed in (
        replace(doses[index], amount_mg=1799.0),
        replace(doses[index], start_day=doses[index].start_day + 0.01),
        replace(doses[index], infusion_days=0.1),
    ):
        assert equal_course([*doses[:index], changed, *doses[index + 1 :]], OFFSETS) is None
    assert equal_course([*doses[:index], *doses[index + 1 :]], OFFSETS) is None


def test_each_cycle_may_have_its_own_amount_in_a_chain() -> None:
    doses = [*course(0.0, 28.0, 1), *course(35.0, 28.0, 1, 900.0)]
    starts = cycle_starts(doses, OFFSETS)
    assert starts is not None
    assert [(dose.start_day, dose.amount_mg) for dose in starts] == [(0.0, 1800.0), (35.0, 900.0)]
    assert cycle_starts(doses[:-1], OFFSETS) is None
    assert cycle_starts([*doses[:-1], replace(doses[-1], amount_mg=1.0)], OFFSETS) is None


@given(st.floats(6.0, 38.0))
def test_the_days_of_dosing_keep_calendar_time(interval: float) -> None:
    nodes = GRID.node_days(interval)
    assert len(nodes) == GRID.size
    assert bool((np.diff(nodes) > 0.0).all())
    assert nodes[-1] == 120.0
    for cycle in range(3):
        first = nodes[54 * cycle : 54 * cycle + 11] - interval * cycle
        np.testing.assert_allclose(first, np.linspace(0.0, 5.0, 11), atol=1e-9)


def test_a_grid_that_stretches_everywhere_says_nothing_of_dosing_days() -> None:
    assert "dosing_days" not in WarpedGrid(6, 32, 28, 1.5, 180.0).as_json()
    assert GRID.as_json()["dosing_points"] == 10


@pytest.mark.parametrize("offsets", [[[]], [[1.0, 2.0]], [[0.0, 0.0]], [[0.0, 2.0, 1.0]], [["x"]]])
def test_malformed_administrations_are_refused(offsets: list[list[Any]]) -> None:
    bundle = load_bundle(bundle_path("aml-course"))
    student = {**bundle.manifest["student"]}
    student["envelope"] = {**student["envelope"], "offsets_days": offsets}
    with pytest.raises(BundleError) as refusal:
        load_student(replace(bundle, manifest={**bundle.manifest, "student": student}))
    assert refusal.value.reason == "malformed"


@pytest.mark.parametrize("offsets", [[[]], [[1.0, 2.0]], [[0.0, 0.0]]])
def test_malformed_cycles_are_refused(offsets: list[list[float]]) -> None:
    bundle = load_bundle(bundle_path("aml-cycle"))
    operator = {**bundle.manifest["cycle_operator"], "offsets_days": offsets}
    with pytest.raises(BundleError) as refusal:
        form_of(replace(bundle, manifest={**bundle.manifest, "cycle_operator": operator}))
    assert refusal.value.reason == "malformed"


def test_the_effect_of_a_cycle_is_the_area_of_its_exact_concentration() -> None:
    amounts = np.array([0.0, 400.0, 7500.0])
    areas, peaks = cycle_effect(CYTARABINE_PK, OFFSETS, 0.125, amounts)
    assert areas[0] == peaks[0] == 0.0
    fine = np.linspace(0.0, 7.5, 30_001)
    for amount, area, peak in zip(amounts[1:], areas[1:], peaks[1:], strict=True):
        doses = [DoseEvent(day, float(amount), 0.125) for day in OFFSETS]
        grid = exposure_grid(CYTARABINE_PK, doses, fine, max_step_days=0.1)
        effect = np.log1p(np.maximum(grid.concentration, 0.0))
        assert area == pytest.approx(np.trapezoid(effect, grid.node_days), rel=1e-3)
        assert peak == pytest.approx(effect.max(), rel=1e-6)


def test_a_trajectory_with_own_concentrations_is_the_simulation_of_each_member() -> None:
    members = np.log([[1.0, 0.236, 7.94, 0.651], [1.0, 0.2, 12.0, 0.6]])
    times, amounts = np.arange(0.0, 29.0), (1800.0, 5400.0)
    grids = [exposure_grid(CYTARABINE_PK, [DoseEvent(o, mg, 0.125) for o in OFFSETS], times) for mg in amounts]
    effects = np.stack([log_concentrations(CYTARABINE_PK, grid) for grid in grids], axis=2)
    start = np.concatenate((np.zeros((1, 2)), np.ones((2, 2))))
    nodes = NumpyJost(KWBC_PER_DAY).trajectory(members, grids[0].steps[:, 0], effects, start)
    for column, grid in enumerate(grids):
        steps = np.column_stack((grid.steps[:, 0], effects[:, :, column]))
        alone = NumpyJost(KWBC_PER_DAY).simulate(members[column : column + 1], steps)[:, 0]
        np.testing.assert_allclose(nodes[:, 2, column], alone, rtol=1e-12)
    middle = len(effects) // 2
    rest = NumpyJost(KWBC_PER_DAY).trajectory(members, grids[0].steps[middle:, 0], effects[middle:], nodes[middle])
    np.testing.assert_array_equal(rest, nodes[middle:])
