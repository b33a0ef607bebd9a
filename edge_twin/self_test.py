"""Self-test of a bundle: every engine that it lists and that this device has must reproduce the golden vectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edge_twin import cycle, engines
from edge_twin.bundle import Bundle
from edge_twin.emulator import DISTRIBUTION_EMULATOR, Emulator, check_emulator_golden
from edge_twin.engines import course_network, field_engines, network_engines
from edge_twin.engines.selection import Settings, named, ways
from edge_twin.errors import BundleError
from edge_twin.field import REACTION_DIFFUSION_POD, FieldModel
from edge_twin.student import COURSE_NETWORK, load_student

_ABSENT = ("library_missing", "library_unusable", "engine_unknown")


@dataclass(frozen=True, slots=True)
class EngineResult:
    """One engine's self-test.

    Attributes:
        engine: its name.
        difference: largest relative difference from the golden vectors; None when the device has no such engine.
        milliseconds: for making the engine and the golden vectors; None likewise.
    """

    engine: str
    difference: float | None
    milliseconds: float | None


def self_test(bundle: Bundle, timer: Callable[[], float] = time.perf_counter) -> tuple[EngineResult, ...]:
    """Ask every engine that the bundle lists for the golden vectors.

    Args:
        bundle: verified; of any kind that this runtime knows.
        timer: seconds.

    Raises:
        BundleError: ``self_test_failed`` when an engine of this device answers wrong, or when it has none of them.
    """
    results = tuple(_engine_result(bundle, name, timer) for name in bundle.engine_names)
    if all(result.difference is None for result in results):
        raise BundleError("this device has no engine for the bundle", reason="self_test_failed")
    return results


def check_engine(bundle: Bundle, name: str) -> float:
    """Largest relative difference of one engine from the golden vectors, in the first way to run it that answers right.

    Raises:
        BundleError: ``engine_unknown``, ``library_missing``, ``library_unusable``, or why the engine answers wrong.
    """
    refusals = []
    for way in ways(name):
        try:
            return _CHECKS.get(bundle.engine.kind, _equations)(bundle, name, way.settings)
        except BundleError as error:
            refusals.append(error)
    # A wrong answer says more than a library that is not there.
    raise min(refusals, key=lambda error: error.reason in _ABSENT)


def _engine_result(bundle: Bundle, name: str, timer: Callable[[], float]) -> EngineResult:
    begin = timer()
    try:
        difference = check_engine(bundle, name)
    except BundleError as error:
        if error.reason in _ABSENT:
            return EngineResult(name, None, None)
        raise BundleError(f"self-test of {name}: {error.reason}: {error}", reason="self_test_failed") from error
    return EngineResult(name, difference, 1e3 * (timer() - begin))


def _equations(bundle: Bundle, name: str, settings: Settings) -> float:
    return engines.check_golden(engines.named_engine(bundle, name, settings), bundle)


def _course_network(bundle: Bundle, name: str, settings: Settings) -> float:
    make, student = named(course_network.CANDIDATES, name), load_student(bundle)
    return course_network.check_course_golden(make(bundle, student, settings), bundle, student)


def _cycle_operator(bundle: Bundle, name: str, settings: Settings) -> float:
    return cycle.check_golden(cycle.CycleOperator(bundle, name, settings), bundle)


def _field(bundle: Bundle, name: str, settings: Settings) -> float:
    make, model = named(field_engines.CANDIDATES, name), FieldModel(bundle)
    return field_engines.check_field_golden(make(bundle, model, settings), bundle, model)


def _emulator(bundle: Bundle, name: str, settings: Settings) -> float:
    make = named(network_engines.CANDIDATES, name)
    return check_emulator_golden(make(bundle, Emulator(bundle), settings), bundle)


_CHECKS: Mapping[str, Callable[[Bundle, str, Settings], float]] = MappingProxyType(
    {
        COURSE_NETWORK: _course_network,
        cycle.CYCLE_OPERATOR: _cycle_operator,
        REACTION_DIFFUSION_POD: _field,
        DISTRIBUTION_EMULATOR: _emulator,
    }
)
