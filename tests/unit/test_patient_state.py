"""A saved state comes back bit for bit, goes on as if nothing had happened, and is refused once damaged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.assimilation import Counts
from edge_twin.errors import StateError
from edge_twin.exposure import DoseEvent
from edge_twin.patient_state import PatientState, restore_state, roll_out, save_state
from edge_twin.reduced_model import ReducedModel

DAYS = np.arange(0.0, 30.0, 1.0)


@pytest.fixture
def state(model: ReducedModel) -> PatientState:
    counts = Counts(np.array([0.0, 7.0]), np.array([5.1, 0.1]), np.array([False, True]))
    doses = (DoseEvent(0.0, 180.0, 1 / 24),)
    return PatientState(model.id, model.parameter_names, model.prior_sample(50, 3), doses, counts, 7)


def test_round_trip_is_bit_identical(state: PatientState) -> None:
    again = restore_state(save_state(state))
    assert again.log_parameters.tobytes() == state.log_parameters.tobytes()
    assert (again.doses, again.names, again.seed, again.model_id) == (
        state.doses,
        state.names,
        state.seed,
        state.model_id,
    )
    assert save_state(again) == save_state(state)


def test_going_on_from_a_restored_state_is_going_on(state: PatientState, model: ReducedModel) -> None:
    planned = (DoseEvent(21.0, 150.0, 1 / 24),)
    restored = restore_state(save_state(state))
    assert np.array_equal(roll_out(model, restored, DAYS, planned), roll_out(model, state, DAYS, planned))


def test_a_state_of_another_model_is_refused(state: PatientState, model: ReducedModel) -> None:
    with pytest.raises(StateError) as caught:
        roll_out(model, replace(state, model_id="other@1"), DAYS)
    assert caught.value.reason == "other_model"


@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_a_damaged_state_is_refused_or_unchanged(place: int, flip: int) -> None:
    whole = PatientState("m@1", ("a",), np.ones((3, 1)), (), Counts(np.empty(0), np.empty(0)), 1)
    damaged = bytearray(save_state(whole))
    damaged[place % len(damaged)] ^= flip
    try:
        again = restore_state(bytes(damaged))
    except StateError:
        return
    assert save_state(again) == save_state(whole)


@given(st.binary(max_size=200))
def test_anything_else_is_no_state(content: bytes) -> None:
    with pytest.raises(StateError):
        restore_state(content)
