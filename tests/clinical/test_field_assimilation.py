"""Measured totals of simulated patients (made by the teacher) sharpen the reduced field's forecast."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_twin.assimilation import Assimilation, Method, assimilate
from edge_twin.assimilation.observing import Counts, ObservationOperator
from edge_twin.bundle import load_bundle
from edge_twin.contract import Model
from edge_twin.engines.numpy_field import NumpyField
from edge_twin.errors import BundleError
from edge_twin.field import FieldModel, Fraction, Treatment, treatment_steps
from edge_twin.field_patient import FieldPatient
from edge_twin_models import bundle_path

pytest.importorskip("scipy", reason="the teacher needs it")

from edge_twin_models.field_teacher import TEMOZOLOMIDE_PK, GliomaField, start_field

Floats = NDArray[np.float64]

BUNDLE = load_bundle(bundle_path("glioma-field"))
MODEL = FieldModel(BUNDLE)
TEACHER = GliomaField()
FRACTIONS = tuple(Fraction(21.0 + 7 * (k // 5) + k % 5, 2.0) for k in range(20))
MEASURED, FORECAST = np.array([10.0, 20.0, 28.0, 35.0, 42.0]), np.array([70.0])
LOG_SD = 0.05
MEMBERS = 300


def patient() -> FieldPatient:
    start = MODEL.project(TEACHER.domain.grid(start_field(TEACHER.domain)[:, 0])).coefficients
    return FieldPatient(BUNDLE, NumpyField(MODEL.operators), start, 0.0, FRACTIONS)


def truth(log_parameters: Floats) -> Floats:
    """Teacher's totals in mm³ on the days measured and on the day forecast."""
    days = np.concatenate(([0.0], MEASURED, FORECAST))
    steps, report = treatment_steps(TEMOZOLOMIDE_PK, days, Treatment(FRACTIONS), 1.0)
    fields = TEACHER.fields(start_field(TEACHER.domain), log_parameters[None, :], steps, report)
    return np.asarray(TEACHER.domain.voxel_volume * fields.sum(axis=(1, 2))[1:])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_five_measured_totals_halve_the_error_of_the_forecast() -> None:
    """Median over patients of |median forecast - truth| on the log scale; EnKF beside importance sampling."""
    model: Model = patient()
    generator = np.random.default_rng(8)
    errors: dict[str, list[float]] = {"prior": [], "enkf": [], "es_mda": [], "importance": []}
    for row in model.prior_sample(6, 77):
        totals = truth(row)
        measured = totals[:-1] * np.exp(LOG_SD * generator.standard_normal(len(MEASURED)))
        counts = Counts(MEASURED, measured)
        operator = ObservationOperator(LOG_SD)
        ensembles = {
            "prior": model.prior_sample(MEMBERS, 1),
            "enkf": assimilate(model, (), counts, MEMBERS, 1, Assimilation(Method.ENKF, operator=operator)),
            "es_mda": assimilate(model, (), counts, MEMBERS, 1, Assimilation(Method.ES_MDA, operator=operator)),
            "importance": assimilate(
                model, (), counts, MEMBERS, 1, Assimilation(Method.IMPORTANCE, operator=operator, draws=2000)
            ),
        }
        for name, ensemble in ensembles.items():
            forecast = np.median(model.simulate(model.clip(ensemble), (), FORECAST)[0])
            errors[name].append(abs(float(np.log(forecast / totals[-1]))))
    medians = {name: float(np.median(values)) for name, values in errors.items()}
    print(medians)
    assert max(medians["enkf"], medians["es_mda"], medians["importance"]) <= 0.5 * medians["prior"]


def test_a_patient_answers_as_the_field_does() -> None:
    model = patient()
    members = model.prior_sample(3, 4)
    run = model.run(members, (), MEASURED)
    assert run.coefficients.shape == (len(MEASURED), 3, MODEL.size)
    assert np.array_equal(model.simulate(members, (), MEASURED), MODEL.cellularity(run.coefficients))
    from_start = model.run(members, (), np.array([0.0, 10.0]))
    assert from_start.coefficients[1] == pytest.approx(run.coefficients[0], rel=1e-12)
    assert model.answer(members, (), MEASURED).engines == ("numpy",)
    assert 0.0 < model.surrogate_log_sd < 0.01 < model.residual_log_sd


def test_a_time_before_the_scan_is_refused() -> None:
    with pytest.raises(BundleError) as caught:
        patient().run(patient().prior_sample(2, 1), (), np.array([-1.0, 5.0]))
    assert caught.value.reason == "times_invalid"
