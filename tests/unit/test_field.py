"""The shipped reduced field as a device reads it: engines, observations, guards, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_twin.bundle import load_bundle, prior_sample
from edge_twin.engines.field_engines import CANDIDATES, check_field_golden, select_field_engine
from edge_twin.engines.numpy_field import NumpyField
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin.field import FieldModel, Fraction, Treatment
from edge_twin.self_test import self_test
from edge_twin_models import bundle_path
from tests.spoilt_bundles import Change, changed_bundle, changed_golden, libraries_after, reason_of

Floats = NDArray[np.float64]

NAME = "glioma-field"
BUNDLE = load_bundle(bundle_path(NAME))
MODEL = FieldModel(BUNDLE)
ENGINE = NumpyField(MODEL.operators)
DAYS = np.arange(0.0, 85.0, 7.0)
STANDARD = Treatment(
    tuple(Fraction(14.0 + 7 * (k // 5) + k % 5, 2.0) for k in range(30)),
    tuple(DoseEvent(14.0 + day, 135.0) for day in range(42)),
)


def ball(radius_mm: float = 8.0, peak: float = 0.8, shift_mm: float = 0.0) -> Floats:
    """A smooth ball on the bundle's grid, at the place of the training plus a shift."""
    axes = [(np.arange(n) - (n - 1) / 2.0) * h for n, h in zip(MODEL.shape, MODEL.spacing_mm, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    distance = np.sqrt((x + 6.0 - shift_mm) ** 2 + (y - 2.0) ** 2 + z**2)
    values = np.zeros(MODEL.shape)
    values.flat[MODEL._voxels] = (peak / (1.0 + np.exp((distance - radius_mm) / 2.5))).flat[MODEL._voxels]
    return values


START = MODEL.project(ball()).coefficients


def members(count: int, seed: int = 5) -> tuple[Floats, Floats]:
    parameters = np.clip(prior_sample(BUNDLE, count, seed), BUNDLE.log_low, BUNDLE.log_high)
    return np.tile(START, (count, 1)), parameters


# --- engines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("count", [1, 1000])
def test_engines_agree(name: str, count: int) -> None:
    try:
        engine = CANDIDATES[name](BUNDLE, MODEL)
    except BundleError as error:
        pytest.skip(str(error))
    check_field_golden(engine, BUNDLE, MODEL)
    initial, parameters = members(count)
    ours, expected = (MODEL.run(some, initial, parameters, DAYS, STANDARD).coefficients for some in (engine, ENGINE))
    assert np.abs(ours - expected).max() <= BUNDLE.engine.tolerance_relative * np.abs(expected).max()


@pytest.mark.parametrize("name", CANDIDATES)
def test_without_a_step_the_state_is_the_start(name: str) -> None:
    try:
        engine = CANDIDATES[name](BUNDLE, MODEL)
    except BundleError as error:
        pytest.skip(str(error))
    initial, parameters = members(2)
    states = engine.run(initial, parameters, np.zeros((0, 3)), np.array([0]))
    assert np.array_equal(states, initial[None])


def test_the_manifest_lists_its_engines_and_all_pass_the_self_test() -> None:
    assert BUNDLE.engine_names == tuple(CANDIDATES)
    tested = self_test(BUNDLE)
    assert {result.engine for result in tested} == set(CANDIDATES)
    assert all(result.difference is None or result.difference <= 1e-9 for result in tested)


def test_an_engine_that_answers_wrong_is_refused_and_numpy_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = dataclasses.replace(MODEL.operators, diffusion=1.01 * MODEL.operators.diffusion)
    candidates = dict(CANDIDATES) | {"onnxruntime": lambda _bundle, _model, _settings: NumpyField(wrong)}
    monkeypatch.setattr("edge_twin.engines.field_engines.CANDIDATES", candidates)
    choice = select_field_engine(BUNDLE, MODEL, prefer="onnxruntime")
    assert choice.engine.name == "numpy"
    assert choice.refused["onnxruntime"].startswith("golden_mismatch")
    assert reason_of(lambda: select_field_engine(BUNDLE, MODEL, prefer="abacus")) == "engine_unknown"


def test_the_phone_path_imports_neither_scipy_nor_an_engine_library() -> None:
    program = (
        "from edge_twin.bundle import load_bundle; from edge_twin.field import FieldModel; "
        "from edge_twin.engines.field_engines import select_field_engine; from pathlib import Path; "
        f"b = load_bundle(Path({str(bundle_path(NAME))!r})); m = FieldModel(b); select_field_engine(b, m)"
    )
    assert libraries_after(program) == []


# --- observations ----------------------------------------------------------------------------------


def test_a_projected_map_is_the_map_again() -> None:
    projection = MODEL.project(ball())
    assert projection.residual < 0.02
    again = MODEL.field(projection.coefficients)
    assert np.linalg.norm(again - ball()) / np.linalg.norm(ball()) < 0.02


def test_total_volume_and_extent_are_those_of_the_field_itself() -> None:
    run = MODEL.run(ENGINE, *members(6), DAYS, STANDARD)
    for states in run.coefficients[[0, 2, 4]]:
        fields = np.stack([MODEL.field(state) for state in states])
        assert MODEL.cellularity(states) == pytest.approx(fields.sum(axis=(1, 2, 3)) * 8.0, rel=2e-3)
        above = fields >= 0.16
        assert MODEL.volume(states, 0.16).tolist() == (above.sum(axis=(1, 2, 3)) * 8.0).tolist()
        sides = [max(np.ptp(np.nonzero(one)[axis]) + 1 for axis in range(3)) * 2.0 for one in above]
        assert MODEL.extent(states, 0.16).tolist() == sides


def test_nothing_above_the_threshold_has_no_extent() -> None:
    states = 1e-6 * START[None, :]
    assert MODEL.volume(states, 0.16).tolist() == [0.0]
    assert MODEL.extent(states, 0.16).tolist() == [0.0]


def test_a_stronger_fraction_leaves_less_tumour() -> None:
    weaker, stronger = (
        MODEL.run(ENGINE, *members(20), DAYS, Treatment(tuple(Fraction(14.0 + k, gray) for k in range(10))))
        for gray in (1.0, 3.0)
    )
    ends = [MODEL.cellularity(run.coefficients[-1]) for run in (weaker, stronger)]
    assert (ends[1] < ends[0]).all()


# --- guards ----------------------------------------------------------------------------------------


def test_a_tumour_elsewhere_or_a_map_of_another_grid_is_refused() -> None:
    assert reason_of(lambda: MODEL.project(ball(shift_mm=24.0))) == "map_outside_basis"
    assert reason_of(lambda: MODEL.project(ball()[:, :, :-1])) == "map_invalid"
    assert reason_of(lambda: MODEL.project(np.full(MODEL.shape, np.nan))) == "map_invalid"


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (Treatment((Fraction(3.0, 4.5),)), "fraction_dose"),
        (Treatment(tuple(Fraction(float(day), 1.0) for day in range(31))), "fraction_count"),
        (Treatment((Fraction(3.0, 2.0), Fraction(3.5, 2.0))), "fraction_interval"),
        (Treatment((), (DoseEvent(1.0, 200.0),)), "dose_amount"),
        (Treatment((), (DoseEvent(1.0, 100.0), DoseEvent(1.5, 100.0))), "dose_interval"),
    ],
)
def test_a_treatment_outside_the_envelope_is_refused_by_name(given: Treatment, word: str) -> None:
    initial, parameters = members(2)
    assert MODEL.outside(parameters, given, 84.0) == (word,)
    with pytest.raises(BundleError, match=word) as caught:
        MODEL.run(ENGINE, initial, parameters, DAYS, given)
    assert caught.value.reason == "outside_envelope"


def test_parameters_and_horizon_outside_the_box_are_refused_by_name() -> None:
    initial, parameters = members(2)
    parameters[1, 1] = np.log(0.3)
    assert MODEL.outside(parameters, horizon_days=100.0) == ("parameter:proliferation", "horizon")
    assert reason_of(lambda: MODEL.run(ENGINE, initial, parameters, DAYS, STANDARD)) == "outside_envelope"


@pytest.mark.parametrize("spoil", [lambda a: a[::-1], lambda a: 10.0 * a, lambda a: 0.0 * a])
def test_a_state_unlike_the_training_is_marked_and_refused(spoil: Callable[[Floats], Floats]) -> None:
    initial, parameters = members(3)
    assert MODEL.run(ENGINE, initial, parameters, DAYS, STANDARD).checked().inside.all()
    initial[1] = spoil(initial[1])
    run = MODEL.run(ENGINE, initial, parameters, DAYS, STANDARD)
    assert run.inside.tolist() == [True, False, True]
    assert reason_of(run.checked) == "state_outside_envelope"


def test_a_state_that_is_not_finite_is_outside() -> None:
    states = np.tile(START, (2, 2, 1))
    states[1, 0, 3] = np.nan
    assert MODEL.states_inside(states).tolist() == [False, True]


# --- malformed bundles -----------------------------------------------------------------------------


def changed(directory: Path, manifest: Change = lambda _: None, arrays: Change = lambda _: None) -> FieldModel:
    """The field of the shipped bundle after changes of its manifest and of its arrays."""
    return FieldModel(changed_bundle(NAME, directory, manifest, "field.npz", arrays))


def into(*keys: str, value: object) -> Change:
    """A change of one entry of the manifest's field."""

    def change(document: dict[str, Any]) -> None:
        target = document["field"]
        for key in keys[:-1]:
            target = target[key]
        target[keys[-1]] = value

    return change


def test_an_unchanged_bundle_opens(tmp_path: Path) -> None:
    assert changed(tmp_path).size == MODEL.size


@pytest.mark.parametrize(
    "change",
    [
        into("shape", value=[[28.0, 28.0]]),
        into("shape", value=[[28.5, 28.0, 24.0]]),
        into("shape", value=[[5.0, 5.0, 5.0]]),
        into("shape", value=[[1e9, 28.0, 24.0]]),
        into("shape", value=[[28.0], [28.0]]),
        into("shape", value="28"),
        into("spacing_mm", value=[[2.0, 2.0, 0.0]]),
        into("arrays", value="absent.npz"),
        into("capacity", value=0.0),
        into("alpha_beta_gy", value=-1.0),
        into("envelope", value=None),
        into("envelope", "max_distance", value=float("nan")),
        into("envelope", "max_fractions", value=1.5),
        into("conformal", "log_cellularity", value="wide"),
        into("conformal", "threshold", value=0.0),
        lambda document: document["parameters"].reverse(),
        lambda document: document.pop("field"),
    ],
)
def test_a_malformed_manifest_is_refused(tmp_path: Path, change: Change) -> None:
    assert reason_of(lambda: changed(tmp_path, manifest=change)) == "malformed"


def reshape(name: str) -> Change:
    return lambda arrays: arrays.update({name: arrays[name].ravel()[:-1]})


@pytest.mark.parametrize(
    "change",
    [
        *(reshape(name) for name in ("modes", "mode_scale", "voxels", "cellularity", "diffusion", "quadratic")),
        *(reshape(name) for name in ("centre", "precision")),
        lambda arrays: arrays.pop("quadratic"),
        lambda arrays: arrays.update(diffusion=np.full_like(arrays["diffusion"], np.nan)),
        lambda arrays: arrays.update(voxels=arrays["voxels"] - arrays["voxels"].min() - 1),
        lambda arrays: arrays.update(voxels=np.full_like(arrays["voxels"], 3)),
        lambda arrays: arrays.update(voxels=arrays["voxels"] + 10**6),
        lambda arrays: arrays.update(modes=np.array([{"a": 1}], dtype=object)),
    ],
)
def test_malformed_arrays_are_refused(tmp_path: Path, change: Change) -> None:
    assert reason_of(lambda: changed(tmp_path, arrays=change)) == "malformed"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda golden: golden.pop("initial"), "malformed"),
        (lambda golden: golden.update(final=golden["final"][:, :-1]), "malformed"),
        (lambda golden: golden.update(final=1.001 * golden["final"]), "golden_mismatch"),
        (lambda golden: golden.update(output=1.001 * golden["output"]), "golden_mismatch"),
    ],
)
def test_golden_states_that_do_not_fit_are_refused(change: Change, reason: str) -> None:
    spoilt = changed_golden(BUNDLE, change)
    assert reason_of(lambda: check_field_golden(ENGINE, spoilt, MODEL)) == reason


def test_another_kind_of_bundle_is_no_field() -> None:
    assert reason_of(lambda: FieldModel(load_bundle(bundle_path("neutropenia")))) == "engine_kind_unknown"
