"""Ensemble assimilation of blood counts: from the population's parameters to this patient's.

Three methods on the same prior and observation operator: the ensemble Kalman filter (one pass over all
counts; Evensen 2009), the ensemble smoother with multiple data assimilation (ES-MDA; Emerick &
Reynolds, Comput Geosci 2013;55:3), and importance sampling, which needs no Gaussian assumption and is
the check of the other two. All counts enter together, so the result depends on the set of counts and
not on the order in which they arrived.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from edge_twin.assimilation.box import BoxTransform
from edge_twin.assimilation.importance import DRAWS, WeightedSample, importance_sample
from edge_twin.assimilation.kalman import Evidence, kalman_update
from edge_twin.assimilation.observing import Counts, ObservationOperator, distinct_days, log_states
from edge_twin.contract import Matrix, Model
from edge_twin.exposure import DoseEvent

__all__ = [
    "DEFAULT", "Assimilation", "Counts", "Method", "ObservationOperator", "WeightedSample", "assimilate",
    "importance_sample", "operator_of",
]  # fmt: skip


class Method(StrEnum):
    """How counts change the ensemble."""

    ENKF = "enkf"
    ES_MDA = "es_mda"
    IMPORTANCE = "importance_sampling"


@dataclass(frozen=True, slots=True)
class Assimilation:
    """The choices of an assimilation.

    Attributes:
        method: see :class:`Method`.
        passes: of ES-MDA, each with ``passes`` times the observation variance; 4 is its authors' usual choice.
        inflation: factor on the prior ensemble's distance from its mean, at least 1, for a population that is
            known to be wider than the prior (in the unbounded coordinates of the box).
        operator: of the laboratory; the model's own log-normal residual when None. A student's error against its
            teacher is added in any case.
        draws: prior draws of importance sampling.
    """

    method: Method = Method.ES_MDA
    passes: int = 4
    inflation: float = 1.0
    operator: ObservationOperator | None = None
    draws: int = DRAWS


DEFAULT = Assimilation()


def operator_of(model: Model, choices: Assimilation = DEFAULT) -> ObservationOperator:
    """The observation operator that an assimilation with these choices uses."""
    operator = choices.operator or ObservationOperator(model.residual_log_sd)
    return replace(operator, surrogate_log_sd=max(operator.surrogate_log_sd, model.surrogate_log_sd))


def assimilate(  # noqa: PLR0913, PLR0917 - five ingredients of every assimilation, and the choices
    model: Model,
    doses: tuple[DoseEvent, ...],
    counts: Counts,
    members: int,
    seed: int,
    choices: Assimilation = DEFAULT,
) -> Matrix:
    """Log parameters of the ensemble after all counts.

    Args:
        model: the reduced model with its prior.
        doses: what was given, in float days since the first dose.
        counts: the counts; with none, the prior comes back.
        members: ensemble size.
        seed: of prior and observation noise.
        choices: method, inflation and observation operator.

    Returns:
        Shape [members, parameters], inside the model's validity envelope once a count was used.
    """
    prior = model.prior_sample(members, seed)
    if counts.days.size == 0:
        return prior
    operator = operator_of(model, choices)
    if choices.method is Method.IMPORTANCE:
        sample = importance_sample(model, doses, counts, operator, draws=choices.draws, seed=seed)
        return sample.resampled(members, seed)
    return _kalman(model, doses, counts, prior, seed, choices)


def _kalman(  # noqa: PLR0913, PLR0917 - as assimilate, with the prior in place of its size
    model: Model, doses: tuple[DoseEvent, ...], counts: Counts, prior: Matrix, seed: int, choices: Assimilation
) -> Matrix:
    """One pass (EnKF) or several with tempered observations (ES-MDA)."""
    passes = choices.passes if choices.method is Method.ES_MDA else 1
    operator = operator_of(model, choices)
    box = BoxTransform(*model.log_box)
    times, column = distinct_days(counts.days)
    states = _inflated(box.unbounded(prior).T, choices.inflation)
    for noise in _noise(passes, counts.days.size, prior.shape[0], seed):
        predicted = log_states(model.simulate(box.log_parameters(states.T), doses, times)[column])
        evidence = Evidence(
            operator.log_values(counts), passes * operator.log_variances(counts), operator.censored(counts), noise
        )
        states = kalman_update(states, predicted, evidence)
    return box.log_parameters(states.T)


def _inflated(states: Matrix, inflation: float) -> Matrix:
    centre = states.mean(axis=1, keepdims=True)
    return np.asarray(centre + inflation * (states - centre))


def _noise(passes: int, counts: int, members: int, seed: int) -> Matrix:
    """Standard normal noise [passes, counts, members], centred so that it cannot shift the mean."""
    noise = np.random.default_rng([seed, counts]).standard_normal((passes, counts, members))
    return np.asarray(noise - noise.mean(axis=2, keepdims=True))
