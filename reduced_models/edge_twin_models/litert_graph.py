"""LiteRT files written directly as flatbuffers: small networks with a dynamic batch, no converter.

The same calls give the same bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]

_ABSENT = -1  # index of an optional tensor that is not there


class LitertGraph:
    """A model under construction; tensors are named by their index."""

    def __init__(self) -> None:
        from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415 - only a distillation needs it

        self.schema: Any = schema
        self.buffers = [schema.BufferT()]  # by convention the first one is empty
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.kinds: list[str] = []

    def tensor(self, name: str, shape: tuple[int, ...], data: Singles | None) -> int:
        """Index of a new tensor; without data its first dimension is the batch."""
        made = self.schema.TensorT()
        made.name, made.shape, made.type = name.encode(), list(shape), self.schema.TensorType.FLOAT32
        if data is None:
            made.shapeSignature, made.buffer = [-1, *shape[1:]], 0
        else:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, "<f4").tobytes(), np.uint8)
            self.buffers.append(buffer)
            made.buffer = len(self.buffers) - 1
        self.tensors.append(made)
        return len(self.tensors) - 1

    def connected(self, source: int, weights: Singles, bias: Singles | None, name: str) -> int:
        """A fully connected layer with weights [outputs, inputs]."""
        inputs = [source, self.tensor(f"{name}_w", weights.shape, weights)]
        inputs.append(_ABSENT if bias is None else self.tensor(f"{name}_b", bias.shape, bias))
        options = self.schema.BuiltinOptions.FullyConnectedOptions, self.schema.FullyConnectedOptionsT()
        return self._operator("FULLY_CONNECTED", inputs, name, len(weights), options)

    def added(self, one: int, other: int, width: int, name: str) -> int:
        """The sum of two tensors [n, width]."""
        options = self.schema.BuiltinOptions.AddOptions, self.schema.AddOptionsT()
        return self._operator("ADD", [one, other], name, width, options)

    def silu(self, source: int, width: int, layer: int) -> int:
        """SiLU, x · sigmoid(x)."""
        gate = self._operator("LOGISTIC", [source], f"s{layer}", width, None)
        options = (self.schema.BuiltinOptions.MulOptions, self.schema.MulOptionsT())
        return self._operator("MUL", [source, gate], f"h{layer}", width, options)

    def _operator(self, kind: str, inputs: list[int], name: str, width: int, options: tuple[int, Any] | None) -> int:
        made = self.schema.OperatorT()
        output = self.tensor(name, (1, width), None)
        if kind not in self.kinds:
            self.kinds.append(kind)
        made.opcodeIndex, made.inputs, made.outputs = self.kinds.index(kind), inputs, [output]
        if options:
            made.builtinOptionsType, made.builtinOptions = options
        self.operators.append(made)
        return output

    def file(self, first: int, last: int) -> bytes:
        """The finished file with one input and one output tensor."""
        import flatbuffers  # noqa: PLC0415 - comes with ai-edge-litert

        packer = flatbuffers.Builder(1024)
        packer.Finish(self._model(first, last).Pack(packer), b"TFL3")
        return bytes(packer.Output())

    def _model(self, first: int, last: int) -> Any:  # noqa: ANN401 - generated code without types
        graph = self.schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = b"main", self.tensors, self.operators
        graph.inputs, graph.outputs = [first], [last]
        model = self.schema.ModelT()
        model.version, model.description = 3, b"edge_twin_models"
        model.subgraphs, model.buffers = [graph], self.buffers
        model.operatorCodes = [self._code(getattr(self.schema.BuiltinOperator, kind)) for kind in self.kinds]
        return model

    def _code(self, builtin: int) -> Any:  # noqa: ANN401 - generated code without types
        made = self.schema.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = builtin
        made.version = 1
        return made
