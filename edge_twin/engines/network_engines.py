"""A small multilayer perceptron on numpy, onnxruntime or LiteRT: features [n, f] in, outputs [n, k] out.

Three layers with SiLU between them, single precision, in chunks, into buffers that are reused: the result of a
call is valid until the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle
from edge_twin.engines.buffers import Buffers, silu
from edge_twin.engines.chunked import Chunked
from edge_twin.engines.litert_network import LitertNetwork
from edge_twin.engines.onnx_session import BoundSession
from edge_twin.engines.selection import LITERT, NUMPY, ONNXRUNTIME, Settings
from edge_twin.errors import BundleError

Singles = NDArray[np.float32]

LAYERS = ("w1", "b1", "w2", "b2", "w3", "b3")
"""Names of the arrays: weights [inputs, outputs] and biases [outputs] of each layer."""


class Network(Protocol):
    """What an engine needs to know of the network."""

    @property
    def arrays(self) -> Mapping[str, Singles]:
        """Weights by name, see ``LAYERS``."""

    @property
    def litert(self) -> str:
        """Name of its LiteRT file in the bundle."""


class NetworkEngine(Protocol):
    """Runs the network."""

    @property
    def name(self) -> str:
        """Short name for reports."""

    def outputs(self, features: Singles) -> Singles:
        """[n, k] of features [n, f]; a buffer, valid until the next call.

        Raises:
            BundleError: ``engine_failed``.
        """


class _Network(Chunked):
    def outputs(self, features: Singles) -> Singles:
        """See ``NetworkEngine.outputs``."""
        return self.joined(features)


class NumpyNetwork(_Network):
    """In place, without any other dependency."""

    name = NUMPY

    def __init__(self, arrays: Mapping[str, Singles]) -> None:
        super().__init__(arrays[LAYERS[-1]].size, self._forward)
        self._layers = [(arrays[weight], arrays[bias]) for weight, bias in zip(LAYERS[::2], LAYERS[1::2], strict=True)]
        self._hidden = Buffers()

    def _forward(self, values: Singles, target: Singles) -> None:
        for number, (weight, bias) in enumerate(self._layers[:-1]):
            after = self._hidden.get(f"hidden_{number}", len(values), bias.size)
            np.matmul(values, weight, out=after)
            silu(after, bias, self._hidden.get("spare", len(values), bias.size))
            values = after
        weight, bias = self._layers[-1]
        np.matmul(values, weight, out=target)
        target += bias


class OnnxNetwork(_Network):
    """The bundle's graph in onnxruntime, one thread, bound to reused buffers.

    Attributes:
        providers: execution providers of the session, in order of preference.

    Raises:
        BundleError: ``graph_missing``, or as ``onnx_session.open_session``.
    """

    name = ONNXRUNTIME

    def __init__(self, bundle: Bundle, network: Network, providers: Settings = ()) -> None:
        if bundle.engine.graph is None:
            raise BundleError("the bundle has no ONNX graph", reason="graph_missing")
        session = BoundSession(bundle.files[bundle.engine.graph], "outputs", providers)
        self.providers: tuple[str, ...] = session.providers
        size = network.arrays[LAYERS[-1]].size
        super().__init__(size, lambda rows, target: session.run({"features": rows}, target))


class LitertEngine(_Network):
    """The bundle's file in LiteRT.

    Attributes:
        library: which package runs it; see ``litert_network``.

    Raises:
        BundleError: ``graph_missing``, or as ``LitertNetwork``.
    """

    name = LITERT

    def __init__(self, bundle: Bundle, network: Network, library: Settings = ()) -> None:
        if network.litert not in bundle.files:
            raise BundleError("the bundle has no LiteRT file", reason="graph_missing")
        litert = LitertNetwork(bundle.files[network.litert], *library)
        self.library = litert.library
        super().__init__(network.arrays[LAYERS[-1]].size, litert.run)


def _numpy_network(_bundle: Bundle, network: Network, _settings: Settings = ()) -> NetworkEngine:
    return NumpyNetwork(network.arrays)


CANDIDATES: Mapping[str, Callable[..., NetworkEngine]] = MappingProxyType(
    {ONNXRUNTIME: OnnxNetwork, LITERT: LitertEngine, NUMPY: _numpy_network}
)
"""Makers by name, in order of preference: bundle, network and, where there are several ways to run, settings."""
