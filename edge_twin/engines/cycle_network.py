"""Engines of the cycle operator's network: numpy (always there), onnxruntime and LiteRT; all must agree.

Every engine maps standardised inputs to the coefficients of the curves. Basis, interpolation and guards
are the same numpy for all. The result is a buffer that the next call overwrites.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle
from edge_twin.cycle_weights import Weights
from edge_twin.engines.buffers import Buffers, silu
from edge_twin.engines.chunked import Chunked
from edge_twin.engines.litert_network import LitertNetwork
from edge_twin.engines.onnx_session import BoundSession
from edge_twin.engines.selection import LITERT, NUMPY, ONNXRUNTIME, Settings
from edge_twin.errors import BundleError

Singles = NDArray[np.float32]


class CycleEngine(Protocol):
    """Runs the network of the cycle operator."""

    @property
    def name(self) -> str:
        """Short name for reports."""

    def coefficients(self, scaled: Singles) -> Singles:
        """[n, k] of the curves for standardised inputs [n, i]; a buffer, valid until the next call."""


class NumpyCycle:
    """In place, without any other dependency."""

    name = NUMPY

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._buffers = Buffers()

    def coefficients(self, scaled: Singles) -> Singles:
        """See ``CycleEngine.coefficients``."""
        members, values = len(scaled), scaled
        for number, (weight, bias) in enumerate(self._weights.hidden):
            hidden = self._buffers.get(f"hidden_{number}", members, bias.size)
            np.matmul(values, weight, out=hidden)
            silu(hidden, bias, self._buffers.get("spare", members, bias.size))
            values = hidden
        (last, bias), skip = self._weights.last, self._weights.skip
        result, linear = (self._buffers.get(name, members, bias.size) for name in ("result", "linear"))
        np.matmul(values, last, out=result)
        np.matmul(scaled, skip, out=linear)
        result += linear
        result += bias
        return result


class _Compiled(Chunked):
    def coefficients(self, scaled: Singles) -> Singles:
        """See ``CycleEngine.coefficients``.

        Raises:
            BundleError: ``engine_failed``.
        """
        return self.joined(scaled)


class OnnxCycle(_Compiled):
    """The bundle's graph in onnxruntime, one thread, bound to reused buffers.

    Attributes:
        providers: execution providers of the session, in order of preference.

    Raises:
        BundleError: ``graph_missing``, or as ``onnx_session.open_session``.
    """

    name = ONNXRUNTIME

    def __init__(self, bundle: Bundle, weights: Weights, providers: Settings = ()) -> None:
        if bundle.engine.graph is None:
            raise BundleError("the bundle has no ONNX graph", reason="graph_missing")
        session = BoundSession(bundle.files[bundle.engine.graph], "coefficients", providers)
        self.providers: tuple[str, ...] = session.providers
        super().__init__(weights.size, lambda rows, target: session.run({"scaled": rows}, target))


class LitertCycle(_Compiled):
    """The bundle's file in LiteRT.

    Attributes:
        library: which package runs it; see ``litert_network``.

    Raises:
        BundleError: ``graph_missing``, or as ``LitertNetwork``.
    """

    name = LITERT

    def __init__(self, bundle: Bundle, weights: Weights, library: Settings = ()) -> None:
        name = bundle.manifest["cycle_operator"].get("litert")
        if name not in bundle.files:
            raise BundleError("the bundle has no LiteRT file", reason="graph_missing")
        network = LitertNetwork(bundle.files[name], *library)
        self.library = network.library
        super().__init__(weights.size, network.run)


def _numpy_cycle(_bundle: Bundle, weights: Weights, _settings: Settings = ()) -> CycleEngine:
    return NumpyCycle(weights)


CANDIDATES: Mapping[str, Callable[..., CycleEngine]] = MappingProxyType(
    {ONNXRUNTIME: OnnxCycle, LITERT: LitertCycle, NUMPY: _numpy_cycle}
)
"""Makers by name: bundle, weights and, where an engine has several ways to run, its settings."""
