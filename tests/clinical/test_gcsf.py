"""Neutropenia with G-CSF: steady state, signs, and the device's integrator against the full ODE."""

from __future__ import annotations

import numpy as np
import pytest

from edge_twin.engines.numpy_quartino import G0_NG_PER_L, Filgrastim
from edge_twin.errors import ProgramError
from edge_twin.exposure import DoseEvent
from edge_twin.regimens import FILGRASTIM, Coverage, covering, with_gcsf
from edge_twin_models.friberg import DOCETAXEL_PK
from edge_twin_models.quartino_gcsf import QUARTINO_2014, derivative, simulate_patient

TYPICAL = np.log(QUARTINO_2014)[None, :]
DAYS = np.arange(0.0, 43.0)
DOSES = [DoseEvent(0.0, 180.0), DoseEvent(21.0, 180.0)]
INJECTIONS = [DoseEvent(float(day), 0.3) for cycle in (0, 21) for day in range(cycle + 2, cycle + 9)]


def test_steady_state_does_not_move() -> None:
    state = np.array([0.0] * 4 + [1.0] * 5 + [G0_NG_PER_L, 0.0, 0.0])
    np.testing.assert_allclose(derivative(state, QUARTINO_2014), 0.0, atol=1e-9)
    np.testing.assert_allclose(with_gcsf(TYPICAL, DOCETAXEL_PK, [], [], DAYS), QUARTINO_2014[0], rtol=1e-9)


def test_few_neutrophils_raise_the_factor_and_many_lower_it() -> None:
    for circulating, sign in ((0.5, 1.0), (2.0, -1.0)):
        state = np.array([0.0] * 4 + [1.0] * 4 + [circulating, G0_NG_PER_L, 0.0, 0.0])
        assert np.sign(derivative(state, QUARTINO_2014)[9]) == sign


@pytest.mark.parametrize("injections", [[], INJECTIONS])
def test_the_device_follows_the_full_equations(injections: list[DoseEvent]) -> None:
    teacher = simulate_patient(QUARTINO_2014, DOSES, injections, DAYS)
    device = with_gcsf(TYPICAL, DOCETAXEL_PK, DOSES, injections, DAYS)[:, 0]
    worst = float(np.abs(device / teacher - 1.0).max())
    print(f"largest relative difference {worst:.4f}, nadir {teacher.min():.3f}")
    assert worst < 0.02


def test_filgrastim_raises_the_counts_after_chemotherapy() -> None:
    without = with_gcsf(TYPICAL, DOCETAXEL_PK, DOSES, [], DAYS)
    given = with_gcsf(TYPICAL, DOCETAXEL_PK, DOSES, INJECTIONS, DAYS)
    print(f"nadir {without[:21].min():.3f} without, {given[:21].min():.3f} with filgrastim")
    assert given[:21].min() > 1.1 * without[:21].min()


def test_all_of_an_injection_arrives() -> None:
    arrived = Filgrastim().entered(np.array([-1.0, 0.0, 30.0]))
    assert arrived == pytest.approx([0.0, 0.0, 1e6 / 14.5], rel=1e-9)


def test_a_regimen_that_nothing_covers_is_refused_by_name() -> None:
    installed = [Coverage("neutropenia-cycle@1", frozenset({"docetaxel"}))]
    assert covering(installed, "100_percent", frozenset({"docetaxel"})) is installed[0]
    with pytest.raises(ProgramError, match=r"with_gcsf \(docetaxel \+ filgrastim\)") as refusal:
        covering(installed, "with_gcsf", frozenset({"docetaxel", FILGRASTIM}))
    assert refusal.value.reason == "regimen_not_covered"
