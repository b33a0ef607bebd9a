"""Galerkin-reduced reaction-diffusion, a whole ensemble at a time: numpy, and the same steps in onnxruntime.

With an orthonormal basis the field is Σ a_i φ_i and the equation becomes, exactly on that subspace,

    da/dt = d K a + k (a - Q(a)/θ) - s C(t) a,    a <- a exp(-(α D + β D²)),

K_ij = ⟨φ_i, L φ_j⟩ symmetric, Q_i(a) = Σ_jk ⟨φ_i, φ_j φ_k⟩ a_j a_k. Drug and radiation scale the field
uniformly, so their projection is exact. Each step: half the drug's kill, Heun's third-order Runge-Kutta for
growth and diffusion, the other half, the fraction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle
from edge_twin.engines.onnx_session import open_session
from edge_twin.errors import BundleError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PARAMETERS = ("diffusion", "proliferation", "radiosensitivity", "chemosensitivity")
STEP_COLUMNS = 3  # days, exposure µmol·d/L, Gy at the end of the step
STAGES = ((0.25, 1.0 / 3.0), (0.0, 2.0 / 3.0), (0.75, 0.0))
"""Weight of each slope and how far the next stage looks ahead, both in steps (Heun's third-order method)."""

CHUNK = 250  # members advanced together: the products of coefficients then stay in the cache


@dataclass(frozen=True, eq=False)
class ReducedOperators:
    """The projected equation.

    Attributes:
        diffusion: [r, r] K in 1/mm².
        quadratic: [r, p] with p = r (r + 1) / 2: Q(a) = quadratic · (a_j a_k, j <= k), pairs in row order.
        capacity: θ; alpha_beta_gy: α/β in Gy.
    """

    diffusion: Floats
    quadratic: Floats
    capacity: float
    alpha_beta_gy: float

    @property
    def size(self) -> int:
        """Number of modes, r."""
        return len(self.diffusion)


class FieldEngine(Protocol):
    """Advances coefficients of an ensemble."""

    @property
    def name(self) -> str:
        """Short name for reports."""

    def run(self, initial: Floats, log_parameters: Floats, steps: Floats, report: Integers) -> Floats:
        """Coefficients at nodes.

        Args:
            initial: [n, r] at the first node.
            log_parameters: [n, 4] natural logarithms in the order of ``PARAMETERS``.
            steps: [k, 3] days, exposure in µmol·d/L, dose in Gy at the end of the step; a step may have no length.
            report: [t] indices among the k + 1 nodes, increasing.

        Returns:
            [t, n, r].

        Raises:
            BundleError: ``engine_input`` for malformed arrays, ``engine_failed``.
        """


class NumpyField:
    """In place, in chunks, without any other dependency."""

    name = "numpy"

    def __init__(self, operators: ReducedOperators) -> None:
        self._operators = operators
        self._first, self._second = np.triu_indices(operators.size)

    def run(self, initial: Floats, log_parameters: Floats, steps: Floats, report: Integers) -> Floats:
        """See ``FieldEngine.run``."""
        check_input(initial, log_parameters, steps, report, self._operators.size)
        output = np.empty((len(report), *initial.shape))
        # An absurd start grows without bound under the quadratic term: it ends as infinite, which every guard refuses.
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, len(initial), CHUNK):
                chunk = slice(first, first + CHUNK)
                self._run(initial[chunk], log_parameters[chunk], steps, report, output[:, chunk])
        return output

    def _run(self, initial: Floats, log_parameters: Floats, steps: Floats, report: Integers, out: Floats) -> None:
        members = _Members(self._operators, log_parameters, self._first, self._second)
        state = np.array(initial.T, np.float64, order="C")  # a copy: the steps are in place
        where = {node: index for index, node in enumerate(report.tolist())}
        if 0 in where:
            out[where[0]] = state.T
        for node, (days, exposure, gray) in enumerate(steps.tolist(), start=1):
            members.step(state, days, exposure, gray)
            if node in where:
                out[where[node]] = state.T


class _Members:
    """Parameters and reused arrays of one chunk; members along the last axis."""

    def __init__(self, operators: ReducedOperators, log_parameters: Floats, first: Integers, second: Integers) -> None:
        self._operators, self._first, self._second = operators, first, second
        self._d, self._k, self._alpha, self._s = np.exp(log_parameters.T)
        shape = (operators.size, len(log_parameters))
        self._slope, self._total, self._stage = np.empty(shape), np.empty(shape), np.empty(shape)
        self._pairs, self._other = (np.empty((len(first), shape[1])) for _ in range(2))

    def step(self, state: Floats, days: float, exposure: float, gray: float) -> None:
        """One step, in place."""
        if days > 0.0:
            half_kill = np.exp(-0.5 * self._s * exposure)
            state *= half_kill
            self._runge_kutta(state, days)
            state *= half_kill
        if gray > 0.0:
            state *= np.exp(-self._alpha * gray * (1.0 + gray / self._operators.alpha_beta_gy))

    def _runge_kutta(self, state: Floats, days: float) -> None:
        np.copyto(self._stage, state)
        self._total[...] = 0.0
        for weight, ahead in STAGES:
            self._rate(self._stage)
            if weight:
                self._total += (weight * days) * self._slope
            np.multiply(self._slope, ahead * days, out=self._stage)
            self._stage += state
        state += self._total

    def _rate(self, state: Floats) -> None:
        """The slope d K a + k (a - Q(a)/θ)."""
        np.take(state, self._first, axis=0, out=self._pairs)
        np.take(state, self._second, axis=0, out=self._other)
        self._pairs *= self._other
        np.matmul(self._operators.quadratic, self._pairs, out=self._slope)
        self._slope *= -1.0 / self._operators.capacity
        self._slope += state
        self._slope *= self._k
        self._slope += self._d * (self._operators.diffusion @ state)


class OnnxField:
    """The bundle's Scan graph in onnxruntime, one thread, double precision.

    Raises:
        BundleError: ``graph_missing``, or as ``onnx_session.open_session``.
    """

    name = "onnxruntime"

    def __init__(self, bundle: Bundle, operators: ReducedOperators, providers: tuple[str, ...] = ()) -> None:
        if bundle.engine.graph is None:
            raise BundleError("the bundle has no ONNX graph", reason="graph_missing")
        self._session = open_session(bundle.files[bundle.engine.graph], providers)
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        self._size = operators.size

    def run(self, initial: Floats, log_parameters: Floats, steps: Floats, report: Integers) -> Floats:
        """See ``FieldEngine.run``."""
        check_input(initial, log_parameters, steps, report, self._size)
        output = np.empty((len(report), *initial.shape))
        if len(steps) == 0:  # a Scan over nothing is an error in onnxruntime
            output[...] = initial
            return output
        for first in range(0, len(initial), CHUNK):
            chunk = slice(first, first + CHUNK)
            nodes = self._nodes({"initial": initial[chunk], "log_parameters": log_parameters[chunk], "steps": steps})
            output[:, chunk] = nodes[report].transpose(0, 2, 1)
        return output

    def _nodes(self, inputs: dict[str, Floats]) -> Floats:
        try:
            (values,) = self._session.run(None, {name: np.ascontiguousarray(v) for name, v in inputs.items()})
        except Exception as error:  # the library's exceptions have no common base
            raise BundleError(f"onnxruntime failed: {error}", reason="engine_failed") from error
        return np.asarray(values, np.float64)


def check_input(initial: Floats, log_parameters: Floats, steps: Floats, report: Integers, size: int) -> None:
    """Refuse arrays that do not fit each other.

    Raises:
        BundleError: ``engine_input``.
    """
    shaped = initial.shape == (len(log_parameters), size) and log_parameters.shape[1:] == (len(PARAMETERS),)
    shaped = shaped and steps.shape[1:] == (STEP_COLUMNS,)
    finite = all(bool(np.isfinite(array).all()) for array in (initial, log_parameters, steps))
    inside = (
        len(report) > 0 and bool((np.diff(report) > 0).all()) and int(report[0]) >= 0 and int(report[-1]) <= len(steps)
    )
    if not (shaped and finite and inside and bool((steps >= 0.0).all())):
        raise BundleError("coefficients, parameters, steps or report do not fit", reason="engine_input")
