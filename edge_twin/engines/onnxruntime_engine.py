"""Runs the bundle's ONNX Scan graph, the same integrator as the numpy engine of its kind, in onnxruntime.

Which execution providers run it: see ``onnx_session``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle
from edge_twin.engines.checks import checked_arrays
from edge_twin.engines.kinds import kind_of
from edge_twin.engines.onnx_session import open_session
from edge_twin.errors import BundleError
from edge_twin.late_log import LateLogger

_LOG = LateLogger(__name__)

Floats = NDArray[np.float64]

DEFAULT_CHUNK = 1000


class OnnxRuntimeEngine:
    """One session with one thread: the device has other work, and the ensemble is small.

    Args:
        bundle: verified, with a graph.
        chunk: members advanced together.
        providers: execution providers to ask for, in order; the fastest there are when empty.

    Attributes:
        name: ``onnxruntime``.
        providers: execution providers of the session, in order of preference, CPU last.

    Raises:
        BundleError: ``graph_missing``, ``library_missing``, ``graph_refused`` (the runtime cannot load it),
            ``provider_missing``, ``engine_kind_unknown``.
    """

    name = "onnxruntime"

    def __init__(self, bundle: Bundle, chunk: int = DEFAULT_CHUNK, providers: tuple[str, ...] = ()) -> None:
        if bundle.engine.graph is None:
            raise BundleError("the bundle has no ONNX graph", reason="graph_missing")
        self._chunk = chunk
        self._parameters = len(bundle.parameters)
        self._columns = kind_of(bundle).step_columns
        self._session = open_session(bundle.files[bundle.engine.graph], providers)
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        _LOG.info("bundle %s runs in onnxruntime on %s", bundle.id, ", ".join(self.providers))

    def simulate(self, log_parameters: Floats, steps: Floats) -> Floats:
        """See ``engines.Engine.simulate``; computed in double precision.

        Single precision is not enough: a member whose cells almost vanish, or that oscillates under weekly
        doses, amplifies rounding errors until its counts differ by half while looking plausible.

        Raises:
            BundleError: ``engine_input`` for malformed arrays, ``engine_failed`` when the runtime fails.
        """
        parameters = checked_arrays(log_parameters, steps, self._parameters, self._columns)
        if len(steps) == 0:
            # A Scan over nothing is an error in onnxruntime: the answer is the baseline.
            return np.exp(parameters[None, :, 0])
        output = np.empty((len(steps) + 1, len(parameters)))
        inputs = {"steps": np.asarray(steps, dtype=np.float64)}
        for first in range(0, len(parameters), self._chunk):
            members = slice(first, first + self._chunk)
            output[:, members] = self._run({**inputs, "log_parameters": parameters[members]})
        return output

    def _run(self, inputs: dict[str, Floats]) -> Floats:
        try:
            (values,) = self._session.run(None, inputs)
        except Exception as error:  # the library's exceptions have no common base
            raise BundleError(f"onnxruntime failed: {error}", reason="engine_failed") from error
        return np.asarray(values)
