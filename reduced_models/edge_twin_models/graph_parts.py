"""What the ONNX graphs of all models share: versions, nodes, index tensors, and deterministic bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import checker, helper, numpy_helper

OPSET = 20
IR_VERSION = 10


def node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:  # noqa: ANN401 - attributes of any kind
    """A node, named after its first output; inputs and outputs are separated by spaces."""
    outputs = output.split()
    return helper.make_node(operator, inputs.split(), outputs, name=outputs[0], **attributes)


def index_tensors(values: Mapping[str, Sequence[int]]) -> list[Any]:
    """Initialisers of whole numbers: shapes, axes and slice bounds."""
    return [numpy_helper.from_array(np.array(value, dtype=np.int64), name) for name, value in values.items()]


def model_bytes(graph: Any) -> bytes:  # noqa: ANN401 - onnx has no types
    """The checked, serialised model of a graph; equal graphs give equal bytes."""
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="edge_twin_models"
    )
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
