"""Fixtures that many tests share: the shipped bundle, the program, and a small maker of observations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings

from edge_twin import codes
from edge_twin.bundle import Bundle, load_bundle
from edge_twin.contract import Dose
from edge_twin.engines import select_engine
from edge_twin.observation import Observation, Origin, Site, observe
from edge_twin.program import Program, load_program
from edge_twin.reduced_model import ReducedModel
from edge_twin_models import bundle_path

# A property holds or not however busy the machine is: no test asserts wall time.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

DOSE_TIME = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return load_bundle(bundle_path("neutropenia"))


@pytest.fixture(scope="session")
def model(bundle: Bundle) -> ReducedModel:
    """The shipped neutropenia model on the numpy engine."""
    return ReducedModel(bundle, select_engine(bundle, prefer="numpy"))


@pytest.fixture(scope="session")
def program() -> Program:
    return load_program("neutropenia")


@pytest.fixture
def docetaxel() -> Dose:
    """180 mg (100 mg/m² at 1.8 m²) over one hour."""
    return Dose(DOSE_TIME, "docetaxel", 180.0, timedelta(hours=1))


@pytest.fixture
def temperature() -> Callable[..., Observation]:
    def make(celsius: float, time: datetime, site: Site = Site.ORAL) -> Observation:
        return observe(codes.BODY_TEMPERATURE, celsius, time, source="thermometer", attributes={"site": site})

    return make


@pytest.fixture
def count() -> Callable[[float, datetime], Observation]:
    def make(value: float, time: datetime) -> Observation:
        return observe(codes.NEUTROPHILS, value, time, source="lab", origin=Origin.LAB)

    return make
