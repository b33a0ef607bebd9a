"""The engines of a reduced field, and their check against the golden vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle
from edge_twin.engines.numpy_field import FieldEngine, NumpyField, OnnxField
from edge_twin.engines.selection import NUMPY, ONNXRUNTIME, Choice, Settings, select, within_tolerance
from edge_twin.errors import BundleError
from edge_twin.field import FieldModel
from edge_twin.npz import read_arrays

Floats = NDArray[np.float64]


def _numpy_field(_bundle: Bundle, model: FieldModel, _settings: Settings = ()) -> FieldEngine:
    return NumpyField(model.operators)


def _onnx_field(bundle: Bundle, model: FieldModel, settings: Settings = ()) -> FieldEngine:
    return OnnxField(bundle, model.operators, settings)


CANDIDATES: Mapping[str, Callable[..., FieldEngine]] = MappingProxyType({NUMPY: _numpy_field, ONNXRUNTIME: _onnx_field})
"""Makers by name: bundle, model and, where an engine has several ways to run, its settings."""


def select_field_engine(bundle: Bundle, model: FieldModel, prefer: str | None = None) -> Choice[FieldEngine]:
    """The first engine that reproduces the golden vectors; numpy comes first: it needs no other library.

    Args:
        bundle: verified.
        model: of the bundle.
        prefer: tried first.

    Raises:
        BundleError: ``engine_unknown``, ``no_engine``.
    """
    return select(CANDIDATES, prefer, lambda engine: check_field_golden(engine, bundle, model), bundle, model)


def check_field_golden(engine: FieldEngine, bundle: Bundle, model: FieldModel) -> float:
    """Largest relative difference from the golden total cellularity and final coefficients.

    Raises:
        BundleError: ``golden_mismatch`` when it exceeds the bundle's tolerance or is not a number, ``malformed``.
    """
    golden, (initial, final) = bundle.golden(), _states(bundle, model)
    nodes = np.arange(len(golden.steps) + 1)
    states = engine.run(initial, golden.log_parameters, golden.steps, nodes)
    total = np.abs(model.cellularity(states) / golden.output - 1.0).max()
    ends = np.abs(states[-1] - final).max() / np.abs(final).max()
    difference = float(np.maximum(total, ends))
    return within_tolerance(difference, bundle)


def _states(bundle: Bundle, model: FieldModel) -> tuple[Floats, Floats]:
    """Golden coefficients [g, r] at the first and the last node."""
    try:
        arrays = read_arrays(bundle.files[bundle.engine.golden])
        first, last = (np.asarray(arrays[name], np.float64) for name in ("initial", "final"))
    except (KeyError, ValueError) as error:
        raise BundleError("the golden states cannot be read", reason="malformed") from error
    if first.shape != last.shape or first.shape[1:] != (model.size,):
        raise BundleError("the golden states do not fit the field", reason="malformed")
    return first, last
