"""Every shipped model of the docetaxel program stands in the twin: assimilated, forecast and rehearsed alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from edge_twin.bundle import load_bundle
from edge_twin.contract import Dose, Model, TwinInput
from edge_twin.cycle import CycleModel
from edge_twin.observation import Observation
from edge_twin.program import Program
from edge_twin.rehearsal import NextCycle, rehearse
from edge_twin.twin import advance
from edge_twin_app.models import load_model, load_surrogate
from edge_twin_models import bundle_path


def mechanistic() -> Model:
    return load_model("neutropenia", "numpy")


def course_student() -> Model:
    return load_surrogate("numpy")


def cycle_operator() -> Model:
    return CycleModel(load_bundle(bundle_path("neutropenia-cycle")))


# The course student assimilates in the mechanistic model's parameter box; the cycle operator in its own,
# narrower one, which moves the few members at its edge.
@pytest.mark.parametrize(("make", "tolerance"), [(course_student, 0.01), (cycle_operator, 0.10)])
def test_a_student_in_the_twin_tells_what_the_mechanistic_model_tells(
    make: Callable[[], Model],
    tolerance: float,
    program: Program,
    docetaxel: Dose,
    count: Callable[[float, datetime], Observation],
) -> None:
    second = replace(docetaxel, time=docetaxel.time + timedelta(days=21))
    readings = tuple(
        count(value, docetaxel.time + timedelta(days=day)) for day, value in ((0, 5.0), (7, 0.9), (10, 1.1), (14, 3.0))
    )
    base = TwinInput(
        second.time + timedelta(days=2), "UTC", program, None, readings, doses=(docetaxel, second), members=200
    )
    planned = NextCycle(replace(docetaxel, time=docetaxel.time + timedelta(days=42)), 1.8)
    told = []
    for model in (mechanistic(), make()):
        output = advance(replace(base, model=model))
        assert output.forecast is not None
        assert output.posterior is not None
        options = rehearse(model, output.posterior.log_parameters, base.doses, planned, program)
        told.append((output.forecast.median, [option.nadir_median for option in options]))
    (expected, nadirs), (median, other_nadirs) = told
    assert np.abs(np.log(median / expected)).max() < tolerance
    assert other_nadirs == pytest.approx(nadirs, rel=tolerance)
