"""Reaction-diffusion teacher of glioblastoma under radiotherapy and chemotherapy.

    du/dt = div(d grad u) + k u (1 - u/θ) - s C(t) u,    u <- u exp(-(α D + β D²)) per fraction,

no flux through the edge of the brain, u the tumour cellularity as a fraction of the carrying capacity θ = 1
(equation: TumorTwin, arXiv 2505.00670). Strang splitting: drug, growth, diffusion, growth, drug. The drug's
exposure and the logistic growth are exact; diffusion is Heun's method, which conserves mass and stays
non-negative under the forward-Euler step bound, because I + X + X²/2 = (I + (I + X)²)/2 with I + X >= 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import FixedValue, Parameter
from edge_twin.errors import BundleError
from edge_twin.exposure import LinearPharmacokinetics
from edge_twin_models.field_domain import Domain
from edge_twin_models.teacher import Variable

Floats = NDArray[np.float64]

_TUTORIAL = "TumorTwin HGG tutorial (arXiv 2505.00670), start value"
REFERENCE_DOSE_MG = 135.0  # 75 mg/m² on 1.8 m² [A]
TEMOZOLOMIDE_G_PER_MOL = 194.15
VOLUME_L = 30.3
DECAY_PER_DAY = 9.242
ALPHA_BETA_GY = 10.0
REFERENCE_UMOL_PER_L = REFERENCE_DOSE_MG / (VOLUME_L * TEMOZOLOMIDE_G_PER_MOL / 1000.0)

TEMOZOLOMIDE_PK = LinearPharmacokinetics(np.array([[-DECAY_PER_DAY]]), VOLUME_L, TEMOZOLOMIDE_G_PER_MOL / 1000.0)

# The spread is assumed: log-sd 0.3 for every parameter; the bounds are the training box, also assumed.
PARAMETERS = (
    Parameter("diffusion", "mm2/d", 0.025, 0.09, 0.012, 0.12, "P", f"{_TUTORIAL}; GliomaSolver report: 0.089"),
    Parameter("proliferation", "/d", 0.05, 0.09, 0.02, 0.075, "P", f"{_TUTORIAL}; GliomaSolver report: 0.029"),
    Parameter("radiosensitivity", "/Gy", 0.025, 0.09, 0.01, 0.06, "P", f"{_TUTORIAL}; α"),
    Parameter(
        "chemosensitivity",
        "L/umol/d",
        float(f"{0.5 / REFERENCE_UMOL_PER_L:.4g}"),
        0.09,
        0.006,
        0.06,
        "C",
        f"{_TUTORIAL}: 0.5 /d per reference dose; the reference dose taken as 135 mg [A] in {VOLUME_L} L [U]",
    ),
)
FIXED = (
    FixedValue("alpha_beta_ratio", "Gy", ALPHA_BETA_GY, "P", _TUTORIAL),
    FixedValue("carrying_capacity", "1", 1.0, "P", "cellularity is a fraction of it"),
    FixedValue("drug_decay", "/d", DECAY_PER_DAY, "P", _TUTORIAL),
    FixedValue("drug_volume", "L", VOLUME_L, "U", "Ostermann et al. 2004, Clin Cancer Res 10:3728-36, from memory"),
    FixedValue("drug_reference_dose", "mg", REFERENCE_DOSE_MG, "A", "75 mg/m2 on 1.8 m2"),
)


@dataclass(frozen=True, eq=False)
class GliomaField:
    """The teacher on one domain.

    Attributes:
        domain: mask, spacing and relative diffusivity.
        step_days: longest substep.
    """

    domain: Domain
    step_days: float = 0.25

    name = "glioma-field"
    states = (Variable("cellularity", "1"),)
    parameters = PARAMETERS
    inputs = (Variable("fraction_dose", "Gy"), Variable("dose", "mg"), Variable("initial_cellularity", "1"))
    outputs = (Variable("tumour_cellularity", "mm3"), Variable("tumour_volume", "mm3"))

    def run(self, initial: Floats, log_parameters: Floats, steps: Floats, report: NDArray[np.int64]) -> Floats:
        """Fields of an ensemble, each member with its own start.

        Args:
            initial: [m, n] cellularity at the first node.
            log_parameters: [n, 4] in the order of ``PARAMETERS``.
            steps: [k, 3] length in days, exposure in µmol·d/L, dose in Gy given at the end of the step.
            report: [t] indices of the nodes wanted, increasing.

        Returns:
            [t, m, n].

        Raises:
            BundleError: ``step_unstable`` when a substep passes the bound of the diffusion operator.
        """
        members = _Members.of(log_parameters)
        self._check_step(members)
        wanted, fields = set(report.tolist()), []
        field = np.array(initial, np.float64)
        for node, (days, exposure, gray) in enumerate(np.vstack(([0.0, 0.0, 0.0], steps)).tolist()):
            field = self._advanced(field, members, days, exposure)
            field *= members.survival(gray)
            if node in wanted:
                fields.append(field.copy())
        return np.stack(fields)

    def reference(self, initial: Floats, log_parameters: Floats, steps: Floats, report: NDArray[np.int64]) -> Floats:
        """The same with a tenth of the step: it judges ``run``."""
        return GliomaField(self.domain, self.step_days / 10.0).run(initial, log_parameters, steps, report)

    def _check_step(self, members: _Members) -> None:
        if not float(members.diffusion.max()) * self.step_days <= self.domain.stable_step_mm2:
            raise BundleError(f"{self.step_days} d is too long for this grid", reason="step_unstable")

    def _advanced(self, field: Floats, members: _Members, days: float, exposure: float) -> Floats:
        if days <= 0.0:
            return field
        count = math.ceil(days / self.step_days - 1e-9)
        half_kill = np.exp(-0.5 * members.chemosensitivity * exposure / count)
        for _ in range(count):
            field = self._substep(field, members, days / count, half_kill)
        return field

    def _substep(self, field: Floats, members: _Members, days: float, half_kill: Floats) -> Floats:
        grown = logistic(field * half_kill, members.proliferation * (0.5 * days))
        flow = (members.diffusion * days) * (self.domain.diffusion @ grown)
        spread = grown + flow + 0.5 * (members.diffusion * days) * (self.domain.diffusion @ flow)
        return logistic(spread, members.proliferation * (0.5 * days)) * half_kill


@dataclass(frozen=True, eq=False)
class _Members:
    """Parameters [n] of an ensemble, natural units."""

    diffusion: Floats
    proliferation: Floats
    radiosensitivity: Floats
    chemosensitivity: Floats

    @classmethod
    def of(cls, log_parameters: Floats) -> _Members:
        return cls(*np.exp(log_parameters).T)

    def survival(self, gray: float) -> Floats:
        """[n] linear-quadratic surviving share of one fraction."""
        return np.asarray(np.exp(-self.radiosensitivity * gray * (1.0 + gray / ALPHA_BETA_GY)))


def logistic(field: Floats, growth: Floats) -> Floats:
    """Exact logistic growth, carrying capacity 1, over a time in which the exponent grows by ``growth``."""
    raised = np.exp(growth)
    return np.asarray(field * raised / (1.0 + field * (raised - 1.0)))
