"""The engines of a reduced field, and their check against the golden vectors."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle
from edge_twin.engines import NUMPY, ONNXRUNTIME
from edge_twin.engines.numpy_field import FieldEngine, NumpyField, OnnxField
from edge_twin.errors import BundleError
from edge_twin.field import FieldModel

_LOG = logging.getLogger(__name__)

Floats = NDArray[np.float64]

CANDIDATES: Mapping[str, Callable[[Bundle, FieldModel], FieldEngine]] = MappingProxyType(
    {
        NUMPY: lambda _bundle, model: NumpyField(model.operators),
        ONNXRUNTIME: lambda bundle, model: OnnxField(bundle, model.operators),
    }
)


@dataclass(frozen=True)
class FieldEngineChoice:
    """The engine that passed the golden vectors, and why others were refused (by name)."""

    engine: FieldEngine
    refused: Mapping[str, str]


def select_field_engine(bundle: Bundle, model: FieldModel, prefer: str | None = None) -> FieldEngineChoice:
    """The first engine that reproduces the golden vectors; numpy comes first: it needs no other library.

    Args:
        bundle: verified.
        model: of the bundle.
        prefer: tried first.

    Raises:
        BundleError: ``engine_unknown``, ``no_engine``.
    """
    if prefer is not None and prefer not in CANDIDATES:
        raise BundleError(f"there is no engine {prefer!r}", reason="engine_unknown")
    refused: dict[str, str] = {}
    for name in dict.fromkeys([prefer, NUMPY] if prefer else CANDIDATES):
        try:
            engine = CANDIDATES[name](bundle, model)
            check_field_golden(engine, bundle, model)
        except BundleError as error:
            refused[name] = f"{error.reason}: {error}"
            _LOG.warning("engine %s refused for bundle %s: %s", name, bundle.id, refused[name])
        else:
            return FieldEngineChoice(engine, MappingProxyType(refused))
    raise BundleError("; ".join(f"{name}: {why}" for name, why in refused.items()), reason="no_engine")


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
    if not difference <= bundle.engine.tolerance_relative:
        raise BundleError(f"differs from the golden vectors by {difference:.1e}", reason="golden_mismatch")
    return difference


def _states(bundle: Bundle, model: FieldModel) -> tuple[Floats, Floats]:
    """Golden coefficients [g, r] at the first and the last node."""
    try:
        with np.load(io.BytesIO(bundle.files[bundle.engine.golden]), allow_pickle=False) as arrays:
            first, last = (np.asarray(arrays[name], np.float64) for name in ("initial", "final"))
    except (KeyError, ValueError, OSError, EOFError, TypeError, AttributeError, BadZipFile) as error:
        raise BundleError("the golden states cannot be read", reason="malformed") from error
    if first.shape != last.shape or first.shape[1:] != (model.size,):
        raise BundleError("the golden states do not fit the field", reason="malformed")
    return first, last
