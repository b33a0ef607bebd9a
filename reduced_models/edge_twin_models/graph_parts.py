"""What the ONNX graphs of all models share: versions, nodes, tensors, the Scan over steps, and deterministic bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper

OPSET = 20
IR_VERSION = 10
ELEMENT = TensorProto.DOUBLE  # as in the numpy engines; see ``onnxruntime_engine`` on single precision


class Carried(NamedTuple):
    """A state [rows, n] that one step hands to the next; the body of the step computes ``NAME_next``.

    Attributes:
        start: tensor of the outer graph at the first step.
        rows: of the state.
    """

    start: str
    rows: int = 1


class PerStep(NamedTuple):
    """What differs from step to step.

    Attributes:
        sequence: tensor of the outer graph, [k, *shape].
        shape: of one step's part.
    """

    sequence: str
    shape: Sequence[int] = (1,)


def node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:  # noqa: ANN401 - attributes of any kind
    """A node, named after its first output; inputs and outputs are separated by spaces."""
    outputs = output.split()
    return helper.make_node(operator, inputs.split(), outputs, name=outputs[0], **attributes)


def index_tensors(values: Mapping[str, Sequence[int]]) -> list[Any]:
    """Initialisers of whole numbers: shapes, axes and slice bounds."""
    return [numpy_helper.from_array(np.array(value, dtype=np.int64), name) for name, value in values.items()]


def number_tensors(values: Mapping[str, float | NDArray[np.float64]], element: int = ELEMENT) -> list[Any]:
    """Initialisers of real numbers; a single number becomes a tensor [1]."""
    dtype = helper.tensor_dtype_to_np_dtype(element)
    return [numpy_helper.from_array(np.atleast_1d(value).astype(dtype), name) for name, value in values.items()]


def scan_node(
    nodes: Sequence[Any],
    states: Mapping[str, Carried],
    steps: Mapping[str, PerStep],
    seen: tuple[str, str] = ("share", "shares"),
    element: int = ELEMENT,
) -> Any:  # noqa: ANN401 - onnx has no types
    """One step after the other; names that a step does not compute come from the outer graph.

    Args:
        nodes: of one step.
        states: by name; the outer graph gets ``NAME_end`` of each.
        steps: by name inside the step.
        seen: what is kept of every step, with the rows of the first state: inside, and stacked outside.
        element: ONNX element type of all tensors.
    """

    def rows(name: str, count: int) -> Any:  # noqa: ANN401 - onnx has no types
        return helper.make_tensor_value_info(name, element, [count, "n"])

    inside, outside = seen
    inputs = [rows(name, state.rows) for name, state in states.items()]
    inputs += [helper.make_tensor_value_info(name, element, list(step.shape)) for name, step in steps.items()]
    outputs = [rows(f"{name}_next", state.rows) for name, state in states.items()]
    outputs.append(rows(inside, next(iter(states.values())).rows))
    return helper.make_node(
        "Scan",
        [*(state.start for state in states.values()), *(step.sequence for step in steps.values())],
        [*(f"{name}_end" for name in states), outside],
        name="scan",
        body=helper.make_graph(nodes, "step", inputs, outputs),
        num_scan_inputs=len(steps),
    )


def growth_nodes(log_pool: str) -> list[Any]:
    """``LOG_POOL_next`` and ``log_middle``: the logarithm of a pool that grows by ``growth`` during the step."""
    return [
        node("Mul", "growth half", "half_growth"),
        node("Add", f"{log_pool} half_growth", "log_middle"),
        node("Add", "log_middle half_growth", f"{log_pool}_next"),
    ]


def count_nodes(share: str, baseline_count: str) -> list[Any]:
    """Shares of the baseline [k, 1, n], stacked as ``SHAREs``, to ``counts`` [k + 1, n], baseline first."""
    return [
        node("Squeeze", f"{share}s last_axis", f"{share}_rows"),
        node("Concat", f"baseline {share}_rows", f"all_{share}s", axis=0),
        node("Mul", f"all_{share}s {baseline_count}", "counts"),
    ]


def counts_model(
    name: str, nodes: Sequence[Any], constants: Sequence[Any], inputs: tuple[int, int], element: int = ELEMENT
) -> bytes:
    """Serialised model from ``log_parameters`` and ``steps`` to ``counts`` [nodes, n], deterministic bytes.

    Args:
        name: of the graph.
        nodes: of the graph, in order.
        constants: initialisers.
        inputs: number of parameters and of columns of a step.
        element: ONNX element type of inputs and output.
    """
    info, (parameters, columns) = helper.make_tensor_value_info, inputs
    graph = helper.make_graph(
        nodes,
        name,
        [info("log_parameters", element, ["n", parameters]), info("steps", element, ["k", columns])],
        [info("counts", element, ["nodes", "n"])],
        initializer=constants,
    )
    return model_bytes(graph)


def model_bytes(graph: Any) -> bytes:  # noqa: ANN401 - onnx has no types
    """The checked, serialised model of a graph; equal graphs give equal bytes."""
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="edge_twin_models"
    )
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
