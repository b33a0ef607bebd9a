"""The kinds of equations that a bundle may name, each with what it needs of a step and its numpy engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle
from edge_twin.engines import numpy_friberg
from edge_twin.errors import BundleError
from edge_twin.exposure import ExposureGrid

Floats = NDArray[np.float64]

FRIBERG_TRANSIT = "friberg_transit"
JOST_LEUKOCYTES = "jost_leukocytes"
QUARTINO_GCSF = "quartino_gcsf"
COURSE_NETWORK = "course_network"
CYCLE_OPERATOR = "cycle_operator"
JOST_STEP_COLUMNS = 4  # length and three quadrature points, as ``numpy_jost`` has them
QUARTINO_STEP_COLUMNS = 3  # length, exposure and delivered factor, as ``numpy_quartino`` has them


class Integrator(Protocol):
    """What every engine can do; see ``engines.Engine``."""

    @property
    def name(self) -> str:
        """Short name for reports."""

    def simulate(self, log_parameters: Floats, steps: Floats) -> Floats:
        """Outputs [k + 1, n] at every node."""


@dataclass(frozen=True, slots=True)
class EngineKind:
    """One kind of equations.

    Attributes:
        name: as the manifest writes it.
        step_columns: columns that describe a step, its length in days first.
        steps: makes them from an exposure grid, [k, step_columns] less one column for each further drug.
        drug_effect: time integral of the effect of such steps for a slope of one.
        numpy_engine: the engine that is always there.
    """

    name: str
    step_columns: int
    steps: Callable[[Bundle, ExposureGrid], Floats]
    drug_effect: Callable[[Floats], float]
    numpy_engine: Callable[[Bundle], Integrator]


def kind_of(bundle: Bundle) -> EngineKind:
    """The kind that a bundle names.

    Raises:
        BundleError: ``engine_kind_unknown``.
    """
    try:
        return KINDS[bundle.engine.kind]
    except KeyError:
        raise BundleError(f"no equations for {bundle.engine.kind}", reason="engine_kind_unknown") from None


def _exposure_steps(_bundle: Bundle, grid: ExposureGrid) -> Floats:
    return grid.steps


def _linear_effect(steps: Floats) -> float:
    """The area under the concentration, µmol·d/L."""
    return float(steps[:, 1].sum())


def _friberg(_bundle: Bundle) -> Integrator:
    return numpy_friberg.NumpyFriberg()


def _jost_steps(bundle: Bundle, grid: ExposureGrid) -> Floats:
    from edge_twin.concentration import log_concentrations  # noqa: PLC0415 - see _jost

    return np.column_stack((grid.steps[:, 0], log_concentrations(bundle.pharmacokinetics, grid)))


def _logarithmic_effect(steps: Floats) -> float:
    """The integral of ln(1 + C), d."""
    from edge_twin.concentration import QUADRATURE_WEIGHTS  # noqa: PLC0415 - see _jost

    return float(steps[:, 0] @ (steps[:, 1:] @ QUADRATURE_WEIGHTS))


def _jost(bundle: Bundle) -> Integrator:
    from edge_twin.engines.numpy_jost import NumpyJost  # noqa: PLC0415 - memory that only this kind needs

    return NumpyJost(_fixed(bundle, "kwbc"))


def _quartino(bundle: Bundle) -> Integrator:
    from edge_twin.engines.numpy_quartino import FactorKinetics, NumpyQuartino  # noqa: PLC0415 - see _jost

    return NumpyQuartino(FactorKinetics(*(_fixed(bundle, name) for name in ("kcirc", "ke", "kanc", "g0"))))


def _fixed(bundle: Bundle, name: str) -> float:
    """A value that the equations need and all patients share."""
    found = [item.value for item in bundle.fixed if item.name == name]
    if len(found) != 1 or not found[0] > 0.0:
        raise BundleError(f"the bundle gives no positive {name}", reason="malformed")
    return found[0]


KINDS: Mapping[str, EngineKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            EngineKind(FRIBERG_TRANSIT, numpy_friberg.STEP_COLUMNS, _exposure_steps, _linear_effect, _friberg),
            EngineKind(JOST_LEUKOCYTES, JOST_STEP_COLUMNS, _jost_steps, _logarithmic_effect, _jost),
            EngineKind(QUARTINO_GCSF, QUARTINO_STEP_COLUMNS, _exposure_steps, _linear_effect, _quartino),
        )
    }
)
