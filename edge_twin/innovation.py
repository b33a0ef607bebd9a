"""Innovation monitor: do this patient's counts fit what the model says any patient could show?

The prior ensemble predicts all counts with their joint covariance, laboratory error included. The
Cholesky factor of that covariance turns the misfits, oldest first, into one-step-ahead normalised
innovations: each count against its forecast from the counts before it. Their squares add up. How large
such a sum grows when the model is right is not taken from a chi-square table, which would need a
normal ensemble, but from the members themselves: each plays the patient once, with counts of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_twin.assimilation import Assimilation, Counts, operator_of
from edge_twin.assimilation.kalman import products
from edge_twin.assimilation.observing import distinct_days, log_states
from edge_twin.contract import Matrix, Model, Vector
from edge_twin.exposure import DoseEvent
from edge_twin.randomness import Stream, generator

LARGEST_BIRGE_RATIO = 3.0  # beyond it a wider interval says nothing any more; the flag has to speak (assumed)


@dataclass(frozen=True, eq=False)
class Innovations:
    """How the counts compare with their own forecasts.

    Attributes:
        normalised: [m] one-step-ahead innovations in standard deviations, in the order of the counts.
        p_mismatch: share of virtual patients, simulated by the model itself, whose counts up to some day would
            look at least as strange as this patient's at his strangest; small when the model does not fit.
    """

    normalised: Vector
    p_mismatch: float

    @property
    def birge_ratio(self) -> float:
        """Root mean square of the innovations, between 1 and ``LARGEST_BIRGE_RATIO``; widens an interval."""
        if self.normalised.size == 0:
            return 1.0
        return float(np.clip(np.sqrt(np.mean(self.normalised**2)), 1.0, LARGEST_BIRGE_RATIO))


NOTHING_COMPARED = Innovations(np.empty(0), 1.0)


def innovations(  # noqa: PLR0913 - the same ingredients as an assimilation
    model: Model, doses: tuple[DoseEvent, ...], counts: Counts, *, members: int, seed: int, choices: Assimilation
) -> Innovations:
    """Compare the counts with the prior ensemble; see the module.

    Repeated looks do not raise the rate of false alarms: the patient's strangest moment is compared with
    the strangest moment of each virtual patient.
    """
    if counts.days.size == 0:
        return NOTHING_COMPARED
    operator = operator_of(model, choices)
    times, column = distinct_days(counts.days)
    prior = model.clip(model.prior_sample(members, seed))
    predicted = log_states(model.simulate(prior, doses, times)[column])
    noise = generator(seed, Stream.INNOVATION).standard_normal(predicted.shape)
    measured = predicted + np.sqrt(operator.log_variances(counts))[:, None] * noise
    censored = operator.censored(counts)
    limits = operator.log_values(counts)
    # A censored count is a statement about the side of a limit: members below it and the patient agree.
    measured[censored] = np.maximum(measured[censored], limits[censored, None])
    played = _normalised(measured, measured)
    own = _normalised(measured, limits[:, None])
    return Innovations(own[:, 0], _strangeness(played, own[:, 0]))


def _normalised(ensemble: Matrix, values: Matrix) -> Matrix:
    """[m, k] one-step-ahead normalised innovations of each column of ``values``."""
    centre = ensemble.mean(axis=1, keepdims=True)
    anomalies = ensemble - centre
    covariance = products(anomalies, anomalies) / (ensemble.shape[1] - 1)
    floor = 1e-12 * np.trace(covariance) * np.eye(len(covariance))
    whitening = np.linalg.solve(np.linalg.cholesky(covariance + floor), np.eye(len(covariance)))
    return np.asarray(np.einsum("ij,jk->ik", whitening, values - centre))


def _strangeness(played: Matrix, own: Vector) -> float:
    """Rank of the patient's smallest rank among those of the members."""
    sums = np.cumsum(played**2, axis=0)
    reference = np.sort(sums, axis=1)
    members = int(played.shape[1])
    smallest = np.min([_tail(row, values) for row, values in zip(reference, sums, strict=True)], axis=0)
    mine = min(float(_tail(row, value)) for row, value in zip(reference, np.cumsum(own**2), strict=True))
    return (1.0 + float(np.sum(smallest <= mine))) / (members + 1.0)


def _tail(ordered: Vector, values: Vector) -> Vector:
    """Share of ``ordered`` at or above each value."""
    return np.asarray(1.0 - np.searchsorted(ordered, values, side="left") / ordered.size)
