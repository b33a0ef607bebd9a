"""One learned network in LiteRT: ``ai-edge-litert``, or ``tflite-runtime`` where only that exists.

An import proves nothing: ``tflite-runtime`` beside numpy 2 imports and then fails when an interpreter is
made. So a library counts only once it has made one, and an engine only once it has answered the golden
vectors.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.errors import BundleError

Singles = NDArray[np.float32]

LIBRARIES = ("ai_edge_litert", "tflite_runtime")
"""Packages that hold an interpreter, the maintained one first."""


class LitertNetwork:
    """A network with one input [n, i] and one output [n, o], both float32.

    Args:
        content: LiteRT file with a dynamic batch.
        library: one of ``LIBRARIES``; the first that can make an interpreter when empty.

    Attributes:
        library: which one runs.

    Raises:
        BundleError: ``library_missing``, ``library_unusable`` (it imports but cannot work here, such as
            ``tflite-runtime`` beside numpy 2), ``graph_refused``.
    """

    def __init__(self, content: bytes, library: str = "") -> None:
        self.library, self._interpreter = _opened(content, (library,) if library else LIBRARIES)
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if not (len(inputs) == len(outputs) == 1):
            raise BundleError("LiteRT refuses the file: not one input and one output", reason="graph_refused")
        self._input = inputs[0]["index"]
        self._view = self._interpreter.tensor(outputs[0]["index"])
        self._shape: tuple[int, ...] = ()

    def run(self, features: Singles, target: Singles) -> None:
        """Compute ``target`` [n, o] from ``features`` [n, i].

        Raises:
            BundleError: ``engine_failed``.
        """
        interpreter = self._interpreter
        try:
            if features.shape != self._shape:
                interpreter.resize_tensor_input(self._input, features.shape)
                interpreter.allocate_tensors()
                self._shape = features.shape
            interpreter.set_tensor(self._input, features)
            interpreter.invoke()
            # The view points into the interpreter and may not outlive this line.
            target[...] = self._view()
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"LiteRT failed: {error}", reason="engine_failed") from error


def _opened(content: bytes, libraries: tuple[str, ...]) -> tuple[str, Any]:
    """The first library that makes an interpreter of the file, and the interpreter."""
    refusals = []
    for library in libraries:
        try:
            return library, _interpreter(library, content)
        except BundleError as error:
            refusals.append(error)
    # A library that is there says more about the trouble than one that is absent.
    raise min(refusals, key=lambda error: error.reason == "library_missing")


def _interpreter(library: str, content: bytes) -> Any:  # noqa: ANN401 - the libraries publish no types
    try:
        kind = importlib.import_module(f"{library}.interpreter").Interpreter
    except (ImportError, OSError, AttributeError) as error:
        raise BundleError(f"{library} cannot be imported: {error}", reason="library_missing") from error
    try:
        interpreter = kind(model_content=content, num_threads=1)
    except (RuntimeError, ValueError) as error:
        raise BundleError(f"LiteRT refuses the file: {error}", reason="graph_refused") from error
    except (ImportError, SystemError, AttributeError, TypeError) as error:
        # The compiled part of tflite-runtime was built against numpy 1.
        raise BundleError(f"{library} cannot work here: {error}", reason="library_unusable") from error
    return interpreter
