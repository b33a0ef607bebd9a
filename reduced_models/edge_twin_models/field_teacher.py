"""Reaction-diffusion teacher of glioblastoma under radiotherapy and chemotherapy.

    du/dt = div(d grad u) + k u (1 - u/θ) - s C(t) u,    u <- u exp(-(α D + β D²)) per fraction,

no flux through the edge of the brain, u the tumour cellularity as a fraction of the carrying capacity θ = 1
(equation: TumorTwin, arXiv 2505.00670). Strang splitting: drug, growth, diffusion, growth, drug. The drug's
exposure and the logistic growth are exact; diffusion is Heun's method, which conserves mass and stays
non-negative under the forward-Euler step bound, because I + X + X²/2 = (I + (I + X)²)/2 with I + X >= 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import FixedValue
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent, LinearPharmacokinetics
from edge_twin.field import Treatment, treatment_steps
from edge_twin_models.field_domain import Domain, synthetic_brain
from edge_twin_models.sampling import BoxedParameter
from edge_twin_models.teacher import TeacherParameter, Variable

Floats = NDArray[np.float64]

_TUTORIAL = "TumorTwin HGG tutorial (arXiv 2505.00670), start value"
REFERENCE_DOSE_MG = 135.0  # 75 mg/m² on 1.8 m² [A]
TEMOZOLOMIDE_G_PER_MOL = 194.15
VOLUME_L = 30.3
DECAY_PER_DAY = 9.242
ALPHA_BETA_GY = 10.0
REFERENCE_UMOL_PER_L = REFERENCE_DOSE_MG / (VOLUME_L * TEMOZOLOMIDE_G_PER_MOL / 1000.0)

TEMOZOLOMIDE_PK = LinearPharmacokinetics(np.array([[-DECAY_PER_DAY]]), VOLUME_L, TEMOZOLOMIDE_G_PER_MOL / 1000.0)

_DIFFUSION = f"{_TUTORIAL}; GliomaSolver report: 0.089"
_PROLIFERATION = f"{_TUTORIAL}; GliomaSolver report: 0.029"
_SPREAD = "log-sd 0.3 for every parameter, assumed"
PARAMETERS = (
    BoxedParameter("diffusion", "mm2/d", 0.025, 0.09, "P", _DIFFUSION, "A", _SPREAD, 0.012, 0.12),
    BoxedParameter("proliferation", "/d", 0.05, 0.09, "P", _PROLIFERATION, "A", _SPREAD, 0.02, 0.075),
    BoxedParameter("radiosensitivity", "/Gy", 0.025, 0.09, "P", f"{_TUTORIAL}; α", "A", _SPREAD, 0.01, 0.06),
    BoxedParameter(
        "chemosensitivity",
        "L/umol/d",
        float(f"{0.5 / REFERENCE_UMOL_PER_L:.4g}"),
        0.09,
        "C",
        f"{_TUTORIAL}: 0.5 /d per reference dose; the reference dose taken as 135 mg [A] in {VOLUME_L} L [U]",
        "A",
        _SPREAD,
        0.006,
        0.06,
    ),
)
FIXED = (
    FixedValue("alpha_beta_ratio", "Gy", ALPHA_BETA_GY, "P", _TUTORIAL),
    FixedValue("carrying_capacity", "1", 1.0, "P", "cellularity is a fraction of it"),
    FixedValue("drug_decay", "/d", DECAY_PER_DAY, "P", _TUTORIAL),
    FixedValue("drug_volume", "L", VOLUME_L, "U", "Ostermann et al. 2004, Clin Cancer Res 10:3728-36, from memory"),
    FixedValue("drug_reference_dose", "mg", REFERENCE_DOSE_MG, "A", "75 mg/m2 on 1.8 m2"),
)

EXAMPLE_GRID, EXAMPLE_SPACING_MM = (28, 28, 24), 2.0
CENTRE_MM = (-6.0, 2.0, 0.0)
EDGE_MM = 2.5


def start_field(domain: Domain, radius_mm: float = 8.0, peak: float = 0.7, stretch: float = 1.0) -> Floats:
    """[m, 1] a smooth ellipsoid of cellularity, ``stretch`` times longer along the first axis than across [A]."""
    away = domain.positions_mm - np.array(CENTRE_MM[: domain.mask.ndim])
    scale = np.array([stretch, *([stretch**-0.5] * (domain.mask.ndim - 1))])
    distance = np.sqrt(((away / scale) ** 2).sum(axis=1, keepdims=True))
    return np.asarray(peak / (1.0 + np.exp((distance - radius_mm) / EDGE_MM)))


class GliomaField:
    """The teacher on one domain.

    Args:
        domain: mask, spacing and relative diffusivity; the synthetic brain of the shipped example when None.
        step_days: longest substep.
    """

    name = "glioma-field"
    drug = "temozolomide"
    pharmacokinetics = TEMOZOLOMIDE_PK
    residual_log_sd = 0.2  # assumed: of a total cellularity measured by MRI
    states: tuple[Variable, ...] = (Variable("cellularity", "1"),)
    parameters: tuple[TeacherParameter, ...] = PARAMETERS
    inputs: tuple[Variable, ...] = (
        Variable("fraction_dose", "Gy"),
        Variable("dose", "mg"),
        Variable("initial_cellularity", "1"),
    )
    outputs: tuple[Variable, ...] = (Variable("tumour_cellularity", "mm3"),)

    def __init__(self, domain: Domain | None = None, step_days: float = 0.25) -> None:
        self.domain = domain or synthetic_brain(EXAMPLE_GRID, EXAMPLE_SPACING_MM)
        self.step_days = step_days

    def run(self, log_parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Floats:
        """See ``Teacher.run``: total cellularity in mm³, [n, t], of the example's start without radiotherapy."""
        start = start_field(self.domain).repeat(len(log_parameters), axis=1)
        steps, report = treatment_steps(TEMOZOLOMIDE_PK, days, Treatment((), tuple(doses)), self.step_days)
        return np.asarray(self.domain.voxel_volume * self.fields(start, log_parameters, steps, report).sum(axis=1).T)

    def reference(self, log_parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Floats:
        """See ``Teacher.reference``: the same for one patient with a tenth of the step, [t]."""
        return np.asarray(self.refined().run(log_parameters[None, :], doses, days)[0])

    def refined(self) -> GliomaField:
        """The teacher with a tenth of the step: it judges this one."""
        return GliomaField(self.domain, self.step_days / 10.0)

    def fields(self, initial: Floats, log_parameters: Floats, steps: Floats, report: NDArray[np.int64]) -> Floats:
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
        wanted, found = set(report.tolist()), []
        state = np.array(initial, np.float64)
        for node, (days, exposure, gray) in enumerate(np.vstack(([0.0, 0.0, 0.0], steps)).tolist()):
            state = self._advanced(state, members, days, exposure)
            state *= members.survival(gray)
            if node in wanted:
                found.append(state.copy())
        return np.stack(found)

    def _check_step(self, members: _Members) -> None:
        if not float(members.diffusion.max()) * self.step_days <= self.domain.stable_step_mm2:
            raise BundleError(f"{self.step_days} d is too long for this grid", reason="step_unstable")

    def _advanced(self, state: Floats, members: _Members, days: float, exposure: float) -> Floats:
        if days <= 0.0:
            return state
        count = math.ceil(days / self.step_days - 1e-9)
        half_kill = np.exp(-0.5 * members.chemosensitivity * exposure / count)
        for _ in range(count):
            state = self._substep(state, members, days / count, half_kill)
        return state

    def _substep(self, state: Floats, members: _Members, days: float, half_kill: Floats) -> Floats:
        grown = logistic(state * half_kill, members.proliferation * (0.5 * days))
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


def logistic(state: Floats, growth: Floats) -> Floats:
    """Exact logistic growth, carrying capacity 1, over a time in which the exponent grows by ``growth``."""
    raised = np.exp(growth)
    return np.asarray(state * raised / (1.0 + state * (raised - 1.0)))
