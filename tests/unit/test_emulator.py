"""The shipped emulator as a device reads it: the distribution's algebra, engines, guards, and what is refused."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_twin.bundle import load_bundle, outside_envelope, prior_sample
from edge_twin.emulator import (
    CountDistribution,
    Emulator,
    Shape,
    check_emulator_golden,
    features,
    select_emulator_engine,
)
from edge_twin.engines.network_engines import CANDIDATES, NumpyNetwork
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin.self_test import self_test
from edge_twin_models import bundle_path
from tests.spoilt_bundles import Change, changed_bundle, changed_golden, libraries_after, reason_of

Floats = NDArray[np.float64]

NAME = "resistance-emulator"
BUNDLE = load_bundle(bundle_path(NAME))
EMULATOR = Emulator(BUNDLE)
ENGINE = NumpyNetwork(EMULATOR.arrays)


def members(count: int) -> Floats:
    return np.clip(prior_sample(BUNDLE, count, 3), BUNDLE.log_low, BUNDLE.log_high)


# --- the distribution ------------------------------------------------------------------------------


def lognormal(none: float, mean: float = 8.0, sd: float = 1.5) -> CountDistribution:
    """A log-normal count with an atom at zero: every quantile has a closed form."""
    levels = np.linspace(0.0005, 0.9995, 2001)
    values = np.array([NormalDist().inv_cdf(level) for level in levels])
    return CountDistribution(np.array([none]), np.array([mean]), np.array([sd]), Shape(levels, values))


@pytest.mark.parametrize("none", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("level", [0.05, 0.25, 0.5, 0.95])
def test_quantiles_are_those_of_the_mixture(none: float, level: float) -> None:
    found = float(lognormal(none).quantile(level)[0])
    expected = 0.0
    if level > none:
        expected = np.exp(8.0 + 1.5 * NormalDist().inv_cdf((level - none) / (1.0 - none)))
    assert found == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("none", [0.0, 0.01, 0.03, 0.5, 0.94])
def test_an_interval_holds_95_percent_whether_or_not_zero_belongs_to_it(none: float) -> None:
    distribution = lognormal(none)
    lower, upper = (float(end[0]) for end in distribution.interval())
    above = float(distribution.exceedance(upper)[0])
    below = 1.0 - float(distribution.exceedance(max(lower, 1.0))[0]) if lower > 0.0 else 0.0
    assert 1.0 - above - below == pytest.approx(0.95, abs=0.002)
    assert (lower == 0.0) == (none >= 0.025)


def test_a_count_that_is_almost_surely_zero_has_the_interval_zero() -> None:
    assert [float(end[0]) for end in lognormal(0.97).interval()] == [0.0, 0.0]


def test_exceedance_and_quantile_are_inverse() -> None:
    distribution = lognormal(0.2)
    count = float(distribution.quantile(0.7)[0])
    assert float(distribution.exceedance(count)[0]) == pytest.approx(0.3, abs=1e-3)
    assert float(distribution.exceedance(1e-9)[0]) == pytest.approx(0.8, abs=1e-3)


def test_quantiles_of_many_levels_and_members_have_one_row_for_each_level() -> None:
    distribution = EMULATOR.distribution(ENGINE, members(7), 90.0)
    table = distribution.quantile(np.array([[0.1], [0.5], [0.9]]))
    assert table.shape == (3, 7)
    assert (np.diff(table, axis=0) >= 0.0).all()
    assert table[1] == pytest.approx(distribution.quantile(0.5))


# --- engines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("count", [1, 1000, 1700])
def test_engines_agree(name: str, count: int) -> None:
    try:
        engine = CANDIDATES[name](BUNDLE, EMULATOR)
    except BundleError as error:
        pytest.skip(str(error))
    check_emulator_golden(engine, BUNDLE)
    given = features(members(count), 60.0)
    expected = ENGINE.outputs(given).copy()
    assert np.abs(engine.outputs(given) - expected).max() <= 2e-5 * (1.0 + np.abs(expected).max())


def test_the_manifest_lists_its_engines_and_all_pass_the_self_test() -> None:
    assert BUNDLE.engine_names == tuple(CANDIDATES)
    tested = self_test(BUNDLE)
    assert {result.engine for result in tested} == set(CANDIDATES)
    assert all(result.difference is None or result.difference <= 2e-5 for result in tested)


def test_an_engine_that_answers_wrong_is_refused_and_numpy_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {name: 1.001 * array for name, array in EMULATOR.arrays.items()}
    candidates = dict(CANDIDATES) | {"onnxruntime": lambda _bundle, _network, _settings: NumpyNetwork(wrong)}
    monkeypatch.setattr("edge_twin.emulator.CANDIDATES", candidates)
    choice = select_emulator_engine(BUNDLE, EMULATOR, prefer="onnxruntime")
    assert choice.engine.name == "numpy"
    assert choice.refused["onnxruntime"].startswith("golden_mismatch")
    assert reason_of(lambda: select_emulator_engine(BUNDLE, EMULATOR, prefer="abacus")) == "engine_unknown"


def test_the_phone_path_imports_neither_scipy_nor_an_engine_library() -> None:
    program = (
        "from pathlib import Path; from edge_twin.bundle import load_bundle; "
        "from edge_twin.emulator import Emulator, select_emulator_engine; "
        f"b = load_bundle(Path({str(bundle_path(NAME))!r})); e = Emulator(b); select_emulator_engine(b, e, 'numpy')"
    )
    assert libraries_after(program) == []


# --- guards ----------------------------------------------------------------------------------------


def test_outside_the_box_or_the_horizon_it_refuses_by_name() -> None:
    parameters = members(3)
    parameters[1, 5] = np.log(0.1)
    assert EMULATOR.outside(parameters, 20.0) == ("parameter:mutation", "horizon")
    assert EMULATOR.members_outside(parameters).tolist() == [False, True, False]
    with pytest.raises(BundleError, match="mutation") as caught:
        EMULATOR.distribution(ENGINE, parameters, 60.0)
    assert caught.value.reason == "outside_envelope"
    assert reason_of(lambda: EMULATOR.distribution(ENGINE, members(2), [60.0, 130.0])) == "outside_envelope"
    assert reason_of(lambda: EMULATOR.distribution(ENGINE, members(2), float("nan"))) == "outside_envelope"


def test_a_model_without_a_drug_admits_no_dose() -> None:
    assert outside_envelope(BUNDLE, doses=[DoseEvent(0.0, 1.0)]) == ("dose_amount", "dose_density")
    assert "pharmacokinetics" not in BUNDLE.manifest


# --- malformed bundles -----------------------------------------------------------------------------


def changed(directory: Path, manifest: Change = lambda _: None, arrays: Change = lambda _: None) -> Emulator:
    """The emulator of the shipped bundle after changes of its manifest and of its weights."""
    return Emulator(changed_bundle(NAME, directory, manifest, "weights.npz", arrays))


def into(key: str, value: object) -> Change:
    return lambda document: document["emulator"].update({key: value})


def test_an_unchanged_bundle_opens(tmp_path: Path) -> None:
    assert changed(tmp_path).parameters == EMULATOR.parameters


@pytest.mark.parametrize(
    "change",
    [
        into("weights", "absent.npz"),
        into("litert", 3),
        into("min_horizon_days", 0.0),
        into("min_horizon_days", 500.0),
        into("max_horizon_days", float("inf")),
        into("shape_levels", [[0.1]]),
        into("shape_levels", [[0.5, 0.4]]),
        into("shape_values", [[2.0, 1.0]]),
        into("shape_values", "wide"),
        lambda document: document["parameters"].pop(),
        lambda document: document.pop("emulator"),
        lambda document: document["engine"].update(kind="course_network"),
    ],
)
def test_a_malformed_manifest_is_refused(tmp_path: Path, change: Change) -> None:
    assert reason_of(lambda: changed(tmp_path, manifest=change)) in {"malformed", "engine_kind_unknown"}


@pytest.mark.parametrize("levels", [[0.0, 0.5], [0.5, 1.0], [0.2, 0.2]])
def test_a_shape_that_is_no_table_of_quantiles_is_refused(tmp_path: Path, levels: list[float]) -> None:
    def change(document: dict[str, Any]) -> None:
        document["emulator"] |= {"shape_levels": [levels], "shape_values": [[-1.0, 1.0]]}

    assert reason_of(lambda: changed(tmp_path, manifest=change)) == "malformed"


@pytest.mark.parametrize(
    "change",
    [
        *(
            lambda arrays, name=name: arrays.update({name: arrays[name].ravel()[:-1]})
            for name in ("w1", "b1", "w2", "b2", "w3", "b3")
        ),
        lambda arrays: arrays.pop("w2"),
        lambda arrays: arrays.update(b1=np.full_like(arrays["b1"], np.inf)),
        lambda arrays: arrays.update(w1=np.array([{"a": 1}], dtype=object)),
    ],
)
def test_malformed_weights_are_refused(tmp_path: Path, change: Change) -> None:
    assert reason_of(lambda: changed(tmp_path, arrays=change)) == "malformed"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda golden: golden.pop("raw"), "malformed"),
        (lambda golden: golden.update(raw=golden["raw"][:, :, :2]), "malformed"),
        (lambda golden: golden.update(output=golden["output"] + 1.0), "malformed"),
        (lambda golden: golden.update(raw=golden["raw"] + [0.1, 0.0, 0.0]), "golden_mismatch"),
    ],
)
def test_golden_outputs_that_do_not_fit_are_refused(change: Change, reason: str) -> None:
    spoilt = changed_golden(BUNDLE, change)
    assert reason_of(lambda: check_emulator_golden(ENGINE, spoilt)) == reason


def test_another_kind_of_bundle_is_no_emulator() -> None:
    assert reason_of(lambda: Emulator(load_bundle(bundle_path("neutropenia")))) == "engine_kind_unknown"
