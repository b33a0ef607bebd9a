"""Sessions of onnxruntime: which execution providers there are, in which order, and one bound to reused arrays.

Accelerators come first and the processor last. Whether an accelerator computes the right thing is not
taken from its name: the caller asks each order of providers for the golden vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.errors import BundleError

Singles = NDArray[np.float32]

TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
ACCELERATORS = (TENSORRT, CUDA)
"""Tried before the processor, the fastest first; every other provider of a build (some call out to the
network, most have other precision) is left alone."""
_SEVERITY_ERROR = 3  # onnxruntime's own scale: 3 shows errors only


def provider_orders() -> tuple[tuple[str, ...], ...]:
    """Lists of providers to try, the fastest first; the last one is the processor alone.

    TensorRT hands the operators that it does not know to CUDA, so it is tried together with it.
    """
    try:
        available = _library().get_available_providers()
    except BundleError:
        available = []
    found = [provider for provider in ACCELERATORS if provider in available]
    return (*((*found[first:], CPU) for first in range(len(found))), (CPU,))


def open_session(graph: bytes, providers: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - the library publishes no types
    """A session with one thread: the device has other work, and the ensemble is small.

    Args:
        graph: ONNX file.
        providers: in order of preference; the first of ``provider_orders`` when empty.

    Raises:
        BundleError: ``library_missing``; ``graph_refused``; ``provider_missing`` when the session silently left
            the first provider out, as onnxruntime does when its driver is absent.
    """
    library = _library()
    wanted = providers or provider_orders()[0]
    options = library.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _SEVERITY_ERROR
    try:
        session = library.InferenceSession(graph, options, providers=list(wanted))
    except Exception as error:  # the library's exceptions have no common base
        raise BundleError(f"onnxruntime refuses the graph: {error}", reason="graph_refused") from error
    if providers and providers[0] not in session.get_providers():
        raise BundleError(f"{providers[0]} is listed but cannot be used", reason="provider_missing")
    return session


class BoundSession:
    """A float32 graph with one output, bound to the caller's arrays; nothing is bound twice.

    Args:
        graph: ONNX file.
        output: name of the output.
        providers: see ``open_session``.

    Attributes:
        providers: of the session, in order of preference.

    Raises:
        BundleError: as ``open_session``.
    """

    def __init__(self, graph: bytes, output: str, providers: tuple[str, ...] = ()) -> None:
        self._session = open_session(graph, providers)
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        self._output = output
        self._binding = self._session.io_binding()
        self._bound: dict[str, tuple[int, tuple[int, ...]]] = {}

    def run(self, inputs: Mapping[str, Singles], target: Singles) -> None:
        """Compute into ``target``; all arrays are contiguous float32 and live until the call returns.

        Raises:
            BundleError: ``engine_failed``.
        """
        try:
            for name, array in inputs.items():
                if self._is_new(name, array):
                    self._binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
            if self._is_new(self._output, target):
                self._binding.bind_output(self._output, "cpu", 0, np.float32, target.shape, target.ctypes.data)
            self._session.run_with_iobinding(self._binding)
            if self.providers[0] != CPU:
                self._binding.synchronize_outputs()
        except Exception as error:  # the library's exceptions have no common base
            self._binding, self._bound = self._session.io_binding(), {}
            raise BundleError(f"onnxruntime failed: {error}", reason="engine_failed") from error

    def _is_new(self, name: str, array: Singles) -> bool:
        """Whether this place is bound to other memory than this; it is noted."""
        memory = array.ctypes.data, array.shape
        if self._bound.get(name) == memory:
            return False
        self._bound[name] = memory
        return True


def _library() -> Any:  # noqa: ANN401 - the library publishes no types
    """The package; imported here, as it is absent on 32-bit ARM and costs 0.4 s to import."""
    try:
        import onnxruntime  # noqa: PLC0415 - see above
    except (ImportError, OSError) as error:
        raise BundleError("onnxruntime cannot be imported", reason="library_missing") from error
    return onnxruntime
