"""Which installed model covers a regimen; what none covers is refused by name, never approximated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin.engines.numpy_quartino import Filgrastim, simulate_gcsf
from edge_twin.errors import ProgramError
from edge_twin.exposure import DoseEvent, LinearPharmacokinetics, exposure_grid

Floats = NDArray[np.float64]

GCSF_STEP_DAYS = 0.05
FILGRASTIM = "filgrastim"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one installed model can be asked.

    Attributes:
        model_id: for the answer.
        drugs: lower-case generic names that may be given together.
    """

    model_id: str
    drugs: frozenset[str]


def covering(installed: Sequence[Coverage], regimen: str, drugs: frozenset[str]) -> Coverage:
    """The first installed model that knows every drug of the regimen.

    Raises:
        ProgramError: ``regimen_not_covered``, naming the regimen and its drugs.
    """
    for coverage in installed:
        if drugs <= coverage.drugs:
            return coverage
    names = " + ".join(sorted(drugs))
    raise ProgramError(f"no installed model covers {regimen} ({names})", reason="regimen_not_covered")


def with_gcsf(
    log_parameters: Floats,
    pharmacokinetics: LinearPharmacokinetics,
    doses: Sequence[DoseEvent],
    filgrastim: Sequence[DoseEvent],
    times: Floats,
) -> Floats:
    """Neutrophils under a cytotoxic drug with or without filgrastim, by the mechanistic integrator.

    Args:
        log_parameters: [n, 5]; see ``numpy_quartino.PARAMETERS``.
        pharmacokinetics: of the cytotoxic drug.
        doses: of the cytotoxic drug.
        filgrastim: subcutaneous injections, amounts in mg; infusion lengths are ignored.
        times: [t] strictly increasing days.

    Returns:
        [t, n] in 10*9/L.
    """
    marks = [DoseEvent(injection.start_day, 0.0) for injection in filgrastim]  # a node at every injection
    grid = exposure_grid(pharmacokinetics, [*doses, *marks], times, max_step_days=GCSF_STEP_DAYS)
    entered = np.zeros(len(grid.node_days))
    for injection in filgrastim:
        entered += injection.amount_mg * Filgrastim().entered(grid.node_days - injection.start_day)
    return np.asarray(simulate_gcsf(log_parameters, grid.steps, np.diff(entered))[grid.report])
