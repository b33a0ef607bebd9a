"""A bundle and an engine together: doses in, an ensemble of counts out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle, outside_envelope, prior_sample
from edge_twin.engines import Engine, kind_of
from edge_twin.engines.kinds import KINDS
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent, exposure_grid

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
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the patient's parameters, in order."""
        return self.bundle.parameter_names

    @property
    def residual_log_sd(self) -> float:
        """Standard deviation of ln(measured) - ln(modelled)."""
        return self.bundle.residual_log_sd

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

    def drug_effect(self, doses: Sequence[DoseEvent]) -> float | None:
        """Time integral of the drug effect that these doses have for a slope of one.

        Returns:
            0 for no dose; None for a learned operator, which holds no equation of the effect.
        """
        if self.bundle.engine.kind not in KINDS:
            return None
        if not doses:
            return 0.0
        first, last = min(d.start_day for d in doses), max(d.start_day + d.infusion_days for d in doses)
        grid = exposure_grid(self.bundle.pharmacokinetics, doses, np.array([first, last + WASHED_OUT_DAYS]))
        kind = kind_of(self.bundle)
        return kind.drug_effect(kind.steps(self.bundle, grid))

    def simulate(self, log_parameters: Floats, doses: Sequence[DoseEvent], times_days: Floats) -> Floats:
        """The bundle's output for every member, starting at steady state before the first dose.

        Args:
            log_parameters: [n, p].
            doses: in any order.
            times_days: [t] strictly increasing.

        Returns:
            [t, n] in 10*9/L.

        Raises:
            BundleError: see ``exposure_grid``; ``output_not_finite`` when the numbers left the
                range in which the equations can be computed.
        """
        bundle = self.bundle
        grid = exposure_grid(bundle.pharmacokinetics, doses, times_days, max_step_days=bundle.engine.max_step_days)
        output = self.engine.simulate(log_parameters, kind_of(bundle).steps(bundle, grid))[grid.report]
        if not bool(np.isfinite(output).all()):
            raise BundleError("the model left its numerical range", reason="output_not_finite")
        return output
