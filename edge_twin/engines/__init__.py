"""Engines run a bundle's equations; all of them must reproduce the bundle's golden vectors.

An engine is probed by running, never by importing: a library that imports and then fails or computes
something else is refused, the reason is kept, and numpy takes over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle
from edge_twin.engines.kinds import FRIBERG_TRANSIT, JOST_LEUKOCYTES, QUARTINO_GCSF, kind_of
from edge_twin.engines.selection import (
    LITERT,
    NUMPY,
    ONNXRUNTIME,
    Settings,
    first_right,
    named,
    preferred_order,
    within_tolerance,
)
from edge_twin.errors import BundleError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Engine(Protocol):
    """Integrates an ensemble over given steps."""

    @property
    def name(self) -> str:
        """Short name for reports."""

    def simulate(self, log_parameters: Floats, steps: Floats) -> Floats:
        """Outputs at every node, starting at steady state.

        Args:
            log_parameters: [n, p] natural logarithms in the bundle's order.
            steps: [k, columns] step length in days, then what the kind needs of the drug.

        Returns:
            [k + 1, n] in the unit of the bundle's output.
        """


@runtime_checkable
class ReportingEngine(Protocol):
    """An engine that can keep the nodes that were asked for and forget the others."""

    def simulate_reported(self, log_parameters: Floats, steps: Floats, report: Integers) -> Floats:
        """[t, n] outputs at the nodes ``report`` [t], increasing; otherwise as ``Engine.simulate``."""


@dataclass(frozen=True)
class EngineChoice:
    """The engine that passed the golden vectors; usable as an engine itself.

    Attributes:
        engine: the chosen one.
        refused: why each engine tried before it was refused, by name; first word machine-readable.
    """

    engine: Engine
    refused: Mapping[str, str]

    @property
    def name(self) -> str:
        """Short name of the chosen engine."""
        return self.engine.name

    @property
    def providers(self) -> tuple[str, ...]:
        """Execution providers that run the engine, in order of preference; empty for an engine without any."""
        return tuple(getattr(self.engine, "providers", ()))

    def simulate(self, log_parameters: Floats, steps: Floats) -> Floats:
        """See ``Engine.simulate``."""
        return self.engine.simulate(log_parameters, steps)


def simulate_reported(engine: Engine, log_parameters: Floats, steps: Floats, report: Integers) -> Floats:
    """[t, n] outputs at the nodes ``report`` [t], increasing; of an engine that keeps every node the rows are taken."""
    chosen = engine.engine if isinstance(engine, EngineChoice) else engine
    if isinstance(chosen, ReportingEngine):
        return chosen.simulate_reported(log_parameters, steps, report)
    return chosen.simulate(log_parameters, steps)[report]


def numpy_engine(bundle: Bundle) -> Engine:
    """The numpy engine for the bundle's equations.

    Raises:
        BundleError: ``engine_kind_unknown``.
    """
    return kind_of(bundle).numpy_engine(bundle)


def _onnxruntime(bundle: Bundle, settings: Settings = ()) -> Engine:
    from edge_twin.engines.onnxruntime_engine import OnnxRuntimeEngine  # noqa: PLC0415 - memory that numpy can do without

    return OnnxRuntimeEngine(bundle, providers=settings)


def _numpy(bundle: Bundle, _settings: Settings = ()) -> Engine:
    return numpy_engine(bundle)


_CANDIDATES: Mapping[str, Callable[..., Engine]] = MappingProxyType({ONNXRUNTIME: _onnxruntime, NUMPY: _numpy})


def named_engine(bundle: Bundle, name: str, settings: Settings = ()) -> Engine:
    """The engine ``name``, not yet checked.

    Args:
        bundle: verified.
        name: of the engine.
        settings: how it is to run; its default when empty.

    Raises:
        BundleError: ``engine_unknown``, or why the engine cannot run the bundle.
    """
    return named(_CANDIDATES, name)(bundle, settings)


def select_engine(bundle: Bundle, prefer: str | None = None) -> EngineChoice:
    """The first engine that reproduces the golden vectors.

    Args:
        bundle: verified.
        prefer: tried first; otherwise onnxruntime, then numpy; each only when the bundle lists it.

    Raises:
        BundleError: ``engine_unknown`` for a name that does not exist, ``no_engine`` when all were
            refused (the message holds every reason).
    """
    engine, refused = first_right(
        preferred_order(_CANDIDATES, prefer),
        lambda name, settings: _CANDIDATES[name](bundle, settings),
        lambda engine: check_golden(engine, bundle),
        bundle,
    )
    return EngineChoice(engine, refused)


def check_golden(engine: Engine, bundle: Bundle) -> float:
    """Largest relative difference between the engine's outputs and the golden ones.

    Raises:
        BundleError: ``golden_mismatch`` when it exceeds the bundle's tolerance or is not a number.
    """
    golden = bundle.golden()
    output = engine.simulate(golden.log_parameters, golden.steps)
    if output.shape != golden.output.shape:
        raise BundleError("the engine returned another shape", reason="golden_mismatch")
    difference = float(np.max(np.abs(output / golden.output - 1.0)))
    return within_tolerance(difference, bundle)


__all__ = [
    "FRIBERG_TRANSIT",
    "JOST_LEUKOCYTES",
    "LITERT",
    "NUMPY",
    "ONNXRUNTIME",
    "QUARTINO_GCSF",
    "Engine",
    "EngineChoice",
    "ReportingEngine",
    "check_golden",
    "kind_of",
    "named_engine",
    "numpy_engine",
    "select_engine",
    "simulate_reported",
]
