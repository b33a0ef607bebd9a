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
from edge_twin.engines import NUMPY, ONNXRUNTIME
from edge_twin.engines.course_network import CHUNK, LITERT, _Buffers, _interpreter, _silu
from edge_twin.engines.onnxruntime_engine import _session
from edge_twin.errors import BundleError

Singles = NDArray[np.float32]

LAYERS = ("w1", "b1", "w2", "b2", "w3", "b3")
"""Names of the arrays: weights [inputs, outputs] and biases [outputs] of each layer."""


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


class NumpyNetwork:
    """In place, without any other dependency."""

    name = NUMPY

    def __init__(self, arrays: Mapping[str, Singles]) -> None:
        self._weights = [np.ascontiguousarray(arrays[name].T) for name in LAYERS[::2]]
        self._biases = [np.ascontiguousarray(arrays[name][:, None]) for name in LAYERS[1::2]]
        self._buffers = _Buffers()

    def outputs(self, features: Singles) -> Singles:
        """See ``NetworkEngine.outputs``."""
        output = self._buffers.get("output", len(features), len(self._biases[-1]))
        for first in range(0, len(features), CHUNK):
            chunk = slice(first, first + CHUNK)
            output[chunk] = self._forward(features[chunk].T).T
        return output

    def _forward(self, values: Singles) -> Singles:
        for layer, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True), start=1):
            after = self._buffers.get(f"layer_{layer}", len(bias), values.shape[1])
            np.matmul(weight, values, out=after)
            if layer < len(self._weights):
                _silu(after, bias, self._buffers.get(f"spare_{layer}", *after.shape))
            else:
                after += bias
            values = after
        return values


class OnnxNetwork:
    """The bundle's graph in onnxruntime, one thread.

    Raises:
        BundleError: ``graph_missing``, ``library_missing``, ``graph_refused``.
    """

    name = ONNXRUNTIME

    def __init__(self, bundle: Bundle) -> None:
        if bundle.engine.graph is None:
            raise BundleError("the bundle has no ONNX graph", reason="graph_missing")
        self._session = _session(bundle.files[bundle.engine.graph])
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())

    def outputs(self, features: Singles) -> Singles:
        """See ``NetworkEngine.outputs``."""
        try:
            (values,) = self._session.run(None, {"features": np.ascontiguousarray(features, np.float32)})
        except Exception as error:  # the library's exceptions have no common base
            raise BundleError(f"onnxruntime failed: {error}", reason="engine_failed") from error
        return np.asarray(values, np.float32)


class LitertNetwork:
    """The bundle's LiteRT file (``ai-edge-litert``, or ``tflite-runtime`` where only that exists).

    Raises:
        BundleError: ``graph_missing``, ``library_missing``, ``graph_refused``.
    """

    name = LITERT

    def __init__(self, bundle: Bundle, file: str) -> None:
        if file not in bundle.files:
            raise BundleError("the bundle has no LiteRT file", reason="graph_missing")
        try:
            self._interpreter = _interpreter()(model_content=bundle.files[file], num_threads=1)
            self._input = self._interpreter.get_input_details()[0]["index"]
            self._output = self._interpreter.get_output_details()[0]["index"]
        except (RuntimeError, ValueError, IndexError) as error:
            raise BundleError(f"LiteRT refuses the file: {error}", reason="graph_refused") from error
        self._batch = 0

    def outputs(self, features: Singles) -> Singles:
        """See ``NetworkEngine.outputs``."""
        interpreter = self._interpreter
        try:
            if len(features) != self._batch:
                interpreter.resize_tensor_input(self._input, features.shape)
                interpreter.allocate_tensors()
                self._batch = len(features)
            interpreter.set_tensor(self._input, np.ascontiguousarray(features, np.float32))
            interpreter.invoke()
            return np.asarray(interpreter.get_tensor(self._output), np.float32)
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"LiteRT failed: {error}", reason="engine_failed") from error


Make = Callable[[Bundle, Mapping[str, Singles], str], NetworkEngine]
CANDIDATES: Mapping[str, Make] = MappingProxyType(
    {
        ONNXRUNTIME: lambda bundle, _arrays, _file: OnnxNetwork(bundle),
        LITERT: lambda bundle, _arrays, file: LitertNetwork(bundle, file),
        NUMPY: lambda _bundle, arrays, _file: NumpyNetwork(arrays),
    }
)
"""Engine by name, from a bundle, its arrays and the name of its LiteRT file; in order of preference."""
