"""Drugs beside a bundle's own one: delivery, limits, manifest, and which model covers what."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edge_twin.bundle import Bundle, load_bundle, outside_envelope, uncovered_drugs
from edge_twin.discrepancy import Discrepancy, new_occasion, read_discrepancy
from edge_twin.engines import numpy_engine
from edge_twin.errors import BundleError, ProgramError
from edge_twin.exposure import DoseEvent
from edge_twin.manifest import Reader
from edge_twin.reduced_model import ReducedModel, schedule_steps
from edge_twin.regimens import covering, first_covering, uncovered
from edge_twin.support import SubcutaneousDrug, delivered, read_further_drugs
from edge_twin_models import bundle_path

DRUG = SubcutaneousDrug("filgrastim", 3.15, 10.5, 14.5, 0.6, 8.4, 0.75)
DAYS = np.arange(0.0, 22.0)


@pytest.fixture(scope="module")
def gcsf() -> Bundle:
    return load_bundle(bundle_path("neutropenia-gcsf"))


def injections(*days: float, amount: float = 0.3) -> list[DoseEvent]:
    return [DoseEvent(day, amount, 0.0, "filgrastim") for day in days]


# --- delivery ----------------------------------------------------------------------------------------


def test_what_enters_adds_up_and_follows_the_two_stages() -> None:
    nodes = np.linspace(0.0, 30.0, 301)
    (column,) = delivered((DRUG,), injections(2.0, 3.0), nodes).T
    assert column[: 20 - 1].max() == 0.0
    assert column.min() >= 0.0
    assert column.sum() == pytest.approx(2 * 0.3 * 1e6 / 14.5, rel=1e-6)
    # Independent of the closed form: the two stages by small Euler steps.
    step, depot, stage, arrived = 1e-5, 1.0, 0.0, 0.0
    for _ in range(50_000):
        depot, stage, arrived = (
            depot - step * 3.15 * depot,
            stage + step * (3.15 * depot - 10.5 * stage),
            arrived + step * 10.5 * stage,
        )
    assert float(DRUG.entered(np.array([0.5]))[0]) == pytest.approx(1e6 / 14.5 * arrived, rel=1e-3)


def test_a_step_has_a_node_at_every_injection_and_a_column_for_the_drug(gcsf: Bundle) -> None:
    steps, report = schedule_steps(gcsf, [DoseEvent(0.0, 180.0), *injections(2.37)], DAYS)
    starts = np.concatenate(([0.0], np.cumsum(steps[:, 0])))
    assert np.abs(starts - 2.37).min() < 1e-9
    assert steps.shape[1] == 3
    assert len(report) == len(DAYS)


# --- envelope and refusal ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("doses", "words"),
    [
        (injections(2.0, 3.0, 4.0), ()),
        (injections(2.0, amount=0.7), ("dose_amount:filgrastim",)),
        (injections(2.0, 2.5), ("dose_interval:filgrastim",)),
        (injections(*np.arange(2.0, 20.0), amount=0.6), ("dose_density:filgrastim",)),
        ([DoseEvent(2.0, 0.3, 0.1, "filgrastim")], ("infusion_length:filgrastim",)),
        ([DoseEvent(2.0, 6.0, 0.0, "pegfilgrastim")], ("drug:pegfilgrastim",)),
    ],
)
def test_the_envelope_names_the_drug(gcsf: Bundle, doses: list[DoseEvent], words: tuple[str, ...]) -> None:
    assert outside_envelope(gcsf, doses=[DoseEvent(0.0, 180.0, 0.04, "docetaxel"), *doses]) == words


def test_injections_do_not_count_as_docetaxel(gcsf: Bundle) -> None:
    close = [DoseEvent(0.0, 180.0), *injections(1.0, 2.0, 3.0)]
    assert outside_envelope(gcsf, doses=close) == ()
    assert outside_envelope(gcsf, doses=[*close, DoseEvent(3.0, 180.0)]) == ("dose_interval", "dose_density")


def test_hz_dose_04_a_model_never_simulates_a_drug_that_it_does_not_know(bundle: Bundle, gcsf: Bundle) -> None:
    for known, doses in ((bundle, injections(2.0)), (gcsf, [DoseEvent(2.0, 6.0, 0.0, "pegfilgrastim")])):
        model = ReducedModel(known, numpy_engine(known))
        with pytest.raises(BundleError, match=doses[0].drug) as caught:
            model.simulate(model.prior_sample(4, 1), [DoseEvent(0.0, 180.0), *doses], DAYS)
        assert caught.value.reason == "drug_not_covered"
        assert uncovered_drugs(known, doses) == (doses[0].drug,)


def test_a_dose_without_a_name_is_of_the_bundles_own_drug(model: ReducedModel) -> None:
    prior = model.prior_sample(4, 1)
    named, unnamed = (model.simulate(prior, [DoseEvent(0.0, 180.0, 0.04, drug)], DAYS) for drug in ("docetaxel", ""))
    np.testing.assert_array_equal(named, unnamed)


# --- manifest ------------------------------------------------------------------------------------------


def test_a_manifest_without_further_drugs_knows_its_own_alone(bundle: Bundle, gcsf: Bundle) -> None:
    assert bundle.drugs == {"docetaxel"}
    assert gcsf.drugs == {"docetaxel", "filgrastim"}
    assert gcsf.further_drugs == (DRUG,)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(further_drugs={}),
        lambda m: m.update(further_drugs=["filgrastim"]),
        lambda m: m["further_drugs"][0].pop("name"),
        lambda m: m["further_drugs"][0].update(name=m["drug"]),
        lambda m: m["further_drugs"].append(m["further_drugs"][0]),
        lambda m: m["further_drugs"][0].update(route="oral"),
        lambda m: m["further_drugs"][0].update(depot_per_day=0.0),
        lambda m: m["further_drugs"][0].update(depot_per_day=10.5),
        lambda m: m["further_drugs"][0].update(volume_l="14"),
        lambda m: m["further_drugs"][0].update(max_amount_mg=-1),
        lambda m: m["further_drugs"][0].update(mark="Z"),
        lambda m: m["further_drugs"][0].pop("source"),
    ],
)
def test_malformed_further_drugs_are_refused(gcsf: Bundle, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = copy.deepcopy(dict(gcsf.manifest))
    assert read_further_drugs(Reader(manifest)) == (DRUG,)
    change(manifest)
    with pytest.raises(BundleError) as caught:
        read_further_drugs(Reader(manifest))
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(discrepancy=0.2),
        lambda m: m["discrepancy"].update(fall_sd=-0.1),
        lambda m: m["discrepancy"].update(fall_sd=float("nan")),
        lambda m: m["discrepancy"].update(laboratory_log_sd=m["residual_log_sd"]),
        lambda m: m["discrepancy"].pop("source"),
        lambda m: m["discrepancy"].update(mark=""),
    ],
)
def test_a_malformed_discrepancy_is_refused(gcsf: Bundle, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = copy.deepcopy(dict(gcsf.manifest))
    assert read_discrepancy(Reader(manifest)) == gcsf.discrepancy
    change(manifest)
    with pytest.raises(BundleError) as caught:
        read_discrepancy(Reader(manifest))
    assert caught.value.reason == "malformed"


# --- which model ---------------------------------------------------------------------------------------


def test_the_first_model_that_covers_all_drugs_is_taken_and_none_is_a_refusal_by_name(
    bundle: Bundle, gcsf: Bundle
) -> None:
    models = (bundle, gcsf)
    assert first_covering(models, frozenset({"docetaxel"})) is bundle
    assert covering(models, "with_gcsf", frozenset({"docetaxel", "filgrastim"})) is gcsf
    with pytest.raises(
        ProgramError, match=r"with_both \(docetaxel \+ filgrastim \+ paclitaxel\): paclitaxel"
    ) as refusal:
        covering(models, "with_both", frozenset({"docetaxel", "filgrastim", "paclitaxel"}))
    assert refusal.value.reason == "regimen_not_covered"
    assert uncovered((bundle,), frozenset({"docetaxel", "filgrastim"})) == ("filgrastim",)
    assert uncovered((), frozenset({"docetaxel"})) == ("docetaxel",)


# --- discrepancy ---------------------------------------------------------------------------------------


def test_a_new_occasion_is_a_later_dose_without_a_count() -> None:
    nothing = np.empty(0)
    assert new_occasion([0.0], nothing) is None
    assert new_occasion([0.0, 21.0], np.array([0.0, 7.0, 21.0])) == 21.0
    assert new_occasion([0.0, 21.0], np.array([0.0, 7.0, 22.0])) is None
    assert new_occasion([42.0, 0.0, 21.0], np.array([14.0])) == 21.0
    assert new_occasion([0.0, 21.0], nothing) == 21.0


def test_the_discrepancy_widens_the_fall_and_leaves_the_count_on_the_dose_day_alone() -> None:
    known = Discrepancy(0.3, 0.42, 0.15)
    logs = np.log(np.array([[4.0] * 4000, [1.0] * 4000, [0.4] * 4000]))
    moved = known.apply(logs, logs[0], 0.42, 5)
    np.testing.assert_array_equal(moved[0], logs[0])
    falls = (logs[0] - moved[2]) / (logs[0] - logs[2])
    assert float(falls.std()) == pytest.approx(0.3, rel=0.05)
    assert float(np.median(moved[2])) == pytest.approx(logs[2, 0], abs=0.03)
    np.testing.assert_array_equal(known.apply(logs, logs[0], 0.42, 5), moved)


def test_the_discrepancy_ends_where_the_residual_is_the_laboratorys() -> None:
    known = Discrepancy(0.3, 0.42, 0.15)
    spreads = [known.fall_sd_at(residual) for residual in (0.1, 0.15, 0.2, 0.3, 0.42)]
    assert spreads[:2] == [0.0, 0.0]
    assert spreads == sorted(spreads)
    assert spreads[-1] == pytest.approx(0.3)
    assert Discrepancy().fall_sd_at(0.42) == 0.0
