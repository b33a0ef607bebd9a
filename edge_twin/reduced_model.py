"""A bundle and an engine together: doses in, an ensemble of counts out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle, outside_envelope, prior_sample, uncovered_drugs
from edge_twin.contract import Answer
from edge_twin.discrepancy import Discrepancy
from edge_twin.engines import Engine, kind_of, simulate_reported
from edge_twin.engines.kinds import EngineKind
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent, exposure_grid
from edge_twin.support import delivered, marked, own_doses

Floats = NDArray[np.float64]

WASHED_OUT_DAYS = 10.0  # after the last infusion; longer than any of the bundles' drugs stays


class ReducedModel:
    """What the twin and the rehearsal need of a reduced model.

    Args:
        bundle: verified.
        engine: chosen by ``engines.select_engine`` for the same bundle.
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.bundle = bundle
        self.engine = engine

    @property
    def id(self) -> str:
        """Name and version of the bundle."""
        return f"{self.bundle.id}@{self.bundle.version}"

    @property
    def engine_name(self) -> str:
        """The engine that runs it."""
        return self.engine.name

    @property
    def expires(self) -> datetime:
        """After this time its answers carry the ``bundle_expired`` refusal."""
        return self.bundle.expires

    @property
    def drugs(self) -> frozenset[str]:
        """Lower-case generic names of the drugs that it covers together."""
        return self.bundle.drugs

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the patient's parameters, in order."""
        return self.bundle.parameter_names

    @property
    def residual_log_sd(self) -> float:
        """Standard deviation of ln(measured) - ln(modelled)."""
        return self.bundle.residual_log_sd

    @property
    def surrogate_log_sd(self) -> float:
        """0: these are the teacher's own equations."""
        return 0.0

    @property
    def discrepancy(self) -> Discrepancy:
        """How far the patient's next occasion may lie from what this model carries over."""
        return self.bundle.discrepancy

    @property
    def log_box(self) -> tuple[Floats, Floats]:
        """Bounds of the log parameters, two arrays [parameters]: the validity envelope."""
        return self.bundle.log_low, self.bundle.log_high

    def prior_sample(self, members: int, seed: int) -> Floats:
        """Log parameters of a virtual population, shape [members, parameters]."""
        return prior_sample(self.bundle, members, seed)

    def clip(self, log_parameters: Floats) -> Floats:
        """Log parameters moved into the validity envelope, shape [members, parameters]."""
        return np.clip(log_parameters, self.bundle.log_low, self.bundle.log_high)

    def covers_doses(self, doses: Sequence[DoseEvent]) -> bool:
        """Whether the dosing lies inside the validity envelope."""
        return not outside_envelope(self.bundle, doses=doses)

    def answer(self, log_parameters: Floats, doses: Sequence[DoseEvent], times_days: Floats) -> Answer:
        """The outputs of ``simulate`` with who computed them."""
        counts = self.simulate(log_parameters, doses, times_days)
        return Answer(counts, np.zeros(counts.shape[1], np.bool_), (), (self.engine_name,))

    @property
    def _equations(self) -> EngineKind:
        return kind_of(self.bundle)

    def drug_effect(self, doses: Sequence[DoseEvent]) -> float:
        """Time integral of the drug effect that these doses have for a slope of one; 0 for none."""
        own = own_doses(self.bundle.drug, doses)
        if not own:
            return 0.0
        first, last = min(d.start_day for d in own), max(d.start_day + d.infusion_days for d in own)
        grid = exposure_grid(self.bundle.pharmacokinetics, own, np.array([first, last + WASHED_OUT_DAYS]))
        kind = self._equations
        return kind.drug_effect(kind.steps(self.bundle, grid))

    def simulate(self, log_parameters: Floats, doses: Sequence[DoseEvent], times_days: Floats) -> Floats:
        """The bundle's output for every member, starting at steady state before the first dose.

        Args:
            log_parameters: [n, p].
            doses: in any order, of the drugs that the bundle covers.
            times_days: [t] strictly increasing.

        Returns:
            [t, n] in 10*9/L.

        Raises:
            BundleError: see ``exposure_grid``; ``drug_not_covered``; ``output_not_finite`` when the numbers left the
                range in which the equations can be computed.
        """
        steps, report = schedule_steps(self.bundle, doses, times_days)
        output = simulate_reported(self.engine, log_parameters, steps, report)
        if not bool(np.isfinite(output).all()):
            raise BundleError("the model left its numerical range", reason="output_not_finite")
        return output


def schedule_steps(bundle: Bundle, doses: Sequence[DoseEvent], times_days: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """What the engine integrates over.

    Args:
        bundle: names the drugs.
        doses: in any order, of the drugs that the bundle covers.
        times_days: [t] strictly increasing.

    Returns:
        Steps [k, columns of the kind] and, for each time, its index among the k + 1 nodes.

    Raises:
        BundleError: see ``exposure_grid``; ``drug_not_covered``.
    """
    if unknown := uncovered_drugs(bundle, doses):
        raise BundleError(f"{bundle.id} does not cover {', '.join(unknown)}", reason="drug_not_covered")
    seen = marked(doses, bundle.drug)
    grid = exposure_grid(bundle.pharmacokinetics, seen, times_days, max_step_days=bundle.engine.max_step_days)
    steps = kind_of(bundle).steps(bundle, grid)
    if bundle.further_drugs:
        steps = np.column_stack((steps, delivered(bundle.further_drugs, doses, grid.node_days)))
    return steps, grid.report
