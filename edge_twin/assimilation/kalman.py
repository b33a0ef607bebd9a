"""The ensemble Kalman update with perturbed observations, and its form for left-censored counts.

Evensen, Data Assimilation (Springer 2009). Seen as Matheron's rule: every member carries its own
simulated measurement; the update moves the member by the gain times what separates that measurement
from the real one. For a censored count the real one is unknown below its limit: members whose own
measurement lies below it already agree and stay, the others move to draws from below the limit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_twin.assimilation.observing import Mask
from edge_twin.contract import Matrix, Vector

Rows = NDArray[np.intp]

FEWEST_BELOW = 0.02  # share of members below the limit; with fewer the normal tail replaces their values


class Evidence(NamedTuple):
    """Counts on the log scale.

    Attributes:
        observed: [m] logarithms, of the limit where censored.
        variances: [m].
        censored: [m].
        noise: [m, n] the members' own measurement errors, standard normal.
    """

    observed: Vector
    variances: Vector
    censored: Mask
    noise: Matrix


def kalman_update(states: Matrix, predicted: Matrix, evidence: Evidence) -> Matrix:
    """The states after the evidence.

    Args:
        states: [p, n] unbounded parameters, one column per member.
        predicted: [m, n] modelled log counts.
        evidence: what was measured.

    Returns:
        [p, n].
    """
    measured = predicted + np.sqrt(evidence.variances)[:, None] * evidence.noise
    joint = np.concatenate((states, predicted, measured))
    exact = np.flatnonzero(~evidence.censored)
    first = len(states) + len(predicted)
    if exact.size:
        wanted = np.broadcast_to(evidence.observed[exact, None], (exact.size, states.shape[1]))
        joint = _moved(joint, first + exact, wanted, evidence.variances[exact], len(states) + exact)
    for row in np.flatnonzero(evidence.censored):
        wanted = below_limit(joint[first + row], float(evidence.observed[row]))[None, :]
        joint = _moved(joint, np.array([first + row]), wanted, evidence.variances[[row]], np.array([len(states) + row]))
    return np.asarray(joint[: len(states)])


def _moved(joint: Matrix, measured: Rows, wanted: Matrix, variances: Vector, predicted: Rows) -> Matrix:
    """All rows moved so that the rows ``measured`` meet ``wanted``."""
    anomalies = joint - joint.mean(axis=1, keepdims=True)
    responses = anomalies[predicted]
    scale = 1.0 / (joint.shape[1] - 1)
    # The measurement errors are known to be independent of everything before them: their variance is
    # added exactly instead of being estimated from the members.
    spread = scale * products(responses, responses) + np.diag(variances)
    cross = scale * products(anomalies, responses)
    gain = np.linalg.solve(spread, cross.T)
    return np.asarray(joint + np.einsum("mi,mn->in", gain, wanted - joint[measured]))


def products(first: Matrix, second: Matrix) -> Matrix:
    """Sums over members of each row of ``first`` times each row of ``second``, shape [rows, rows].

    Not by the matrix product of the linear algebra library: for some rows of a thousand numbers it is no faster, and
    its working memory, a third of a megabyte, would never be given back.
    """
    return np.asarray(np.einsum("in,jn->ij", first, second))


def below_limit(measured: Vector, limit: float) -> Vector:
    """[n] for each member a measurement at or below the limit, its own where it is.

    The others share the members' distribution below the limit evenly; when hardly any member is
    there, the tail of a normal distribution with the members' mean and variance takes its place.
    """
    wanted = measured.copy()
    above = measured > limit
    ranks = (np.arange(int(above.sum())) + 0.5) / max(int(above.sum()), 1)
    below = np.sort(measured[~above])
    if below.size >= FEWEST_BELOW * measured.size:
        wanted[above] = below[(ranks * below.size).astype(np.int64)]
    else:
        distance = max(float(measured.mean()) - limit, float(measured.std()))
        wanted[above] = limit + np.log(ranks) * measured.var() / distance
    return wanted
