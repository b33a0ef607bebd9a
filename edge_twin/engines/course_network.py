"""Engines of the course network: numpy (always there), onnxruntime and LiteRT; all must agree.

Every engine writes the counts of an ensemble into one float32 buffer that is reused: the result of a
call is valid until the next one. Members run along the last axis, so that the statistics sort
contiguous rows. onnxruntime runs the whole graph; LiteRT runs the network and numpy the basis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle
from edge_twin.course import Course
from edge_twin.engines import NUMPY, ONNXRUNTIME
from edge_twin.engines.onnxruntime_engine import _session
from edge_twin.errors import BundleError
from edge_twin.late_log import LateLogger
from edge_twin.student import MEMBER_FEATURES, CalendarBasis, Student, schedule_features

_LOG = LateLogger(__name__)

LITERT = "litert"
CHUNK = 1000
HIDDEN_CHUNK = 250  # hidden layers of 128 kB, which stay in a small processor's cache

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


class CourseEngine(Protocol):
    """Runs the network for an ensemble under one course."""

    @property
    def name(self) -> str:
        """Short name for reports."""

    def counts(self, log_parameters: Floats, course: Course, basis: CalendarBasis) -> Singles:
        """[t, n] in 10*9/L for log parameters [n, 4]; a buffer, valid until the next call."""


class _Buffers:
    """Arrays that grow to the largest ensemble seen and are handed out as views of its size."""

    def __init__(self) -> None:
        self._arrays: dict[str, Singles] = {}

    def get(self, name: str, *shape: int) -> Singles:
        """A contiguous array of this shape, its content undefined."""
        size = int(np.prod(shape))
        if name not in self._arrays or self._arrays[name].size < size:
            self._arrays[name] = np.empty(size, np.float32)
        return self._arrays[name][:size].reshape(shape)


class NumpyCourse:
    """In place, in chunks, without any other dependency."""

    name = NUMPY

    def __init__(self, student: Student) -> None:
        weights = student.arrays
        self._floor = np.float32(student.floor)
        self._members = np.ascontiguousarray(weights["w1"][:MEMBER_FEATURES].T)
        self._schedule, self._b1 = weights["w1"][MEMBER_FEATURES:].astype(np.float64), weights["b1"]
        self._w2, self._b2 = np.ascontiguousarray(weights["w2"].T), weights["b2"][:, None]
        self._w3, self._b3 = np.ascontiguousarray(weights["w3"].T), weights["b3"][:, None]
        self._buffers = _Buffers()

    def counts(self, log_parameters: Floats, course: Course, basis: CalendarBasis) -> Singles:
        """See ``CourseEngine.counts``."""
        members, days = len(log_parameters), len(basis.mean)
        output = self._buffers.get("output", days, members)
        bias = (self._b1 + schedule_features(course) @ self._schedule).astype(np.float32)[:, None]
        for first in range(0, members, CHUNK):
            chunk = log_parameters[first : first + CHUNK].T
            rows = self._buffers.get("rows", *chunk.shape)
            rows[...] = chunk
            decode(self._latent(rows[1:], bias), rows[0], basis, self._floor, output[:, first : first + CHUNK])
        return output

    def _latent(self, features: Singles, bias: Singles) -> Singles:
        """[k, n] for features [3, n]; the wide hidden layers exist for a part of the members at a time."""
        members = features.shape[1]
        latent = self._buffers.get("latent", len(self._b3), members)
        for first in range(0, members, HIDDEN_CHUNK):
            part = slice(first, first + HIDDEN_CHUNK)
            latent[:, part] = self._latent_part(features[:, part], bias)
        latent += self._b3
        return latent

    def _latent_part(self, features: Singles, bias: Singles) -> Singles:
        hidden, members = len(self._b2), features.shape[1]
        one, two = (self._buffers.get(name, hidden, members) for name in ("one", "two"))
        np.matmul(self._members, features, out=one)
        _silu(one, bias, spare=two)
        np.matmul(self._w2, one, out=two)
        _silu(two, self._b2, spare=one)
        return np.matmul(self._w3, two, out=self._buffers.get("part", len(self._b3), members))


def _silu(values: Singles, bias: Singles, spare: Singles) -> None:
    """SiLU, x / (1 + exp(-x)), of x = values + bias, in place; far negative x overflow to the right limit, zero."""
    values += bias
    np.negative(values, out=spare)
    with np.errstate(over="ignore"):
        np.exp(spare, out=spare)
    spare += np.float32(1.0)
    values /= spare


def decode(latent: Singles, log_baseline: Singles, basis: CalendarBasis, floor: np.float32, out: Singles) -> None:
    """Counts [t, n] of latent values [k, n] and ln baselines [n]."""
    if out.flags.c_contiguous:
        np.matmul(basis.modes, latent, out=out)
    else:
        out[...] = basis.modes @ latent
    out += basis.mean
    np.exp(out, out=out)
    out -= floor
    out *= np.exp(log_baseline)
    np.maximum(out, np.float32(0.0), out=out)


class OnnxCourse:
    """The whole graph in onnxruntime, one thread, bound to reused buffers.

    Raises:
        BundleError: ``graph_missing``, ``library_missing``, ``graph_refused``.
    """

    name = ONNXRUNTIME

    def __init__(self, bundle: Bundle, _student: Student) -> None:
        if bundle.engine.graph is None:
            raise BundleError("the bundle has no ONNX graph", reason="graph_missing")
        self._session = _session(bundle.files[bundle.engine.graph])
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        self._buffers = _Buffers()
        self._chunks = _Buffers()

    def counts(self, log_parameters: Floats, course: Course, basis: CalendarBasis) -> Singles:
        """See ``CourseEngine.counts``.

        Raises:
            BundleError: ``engine_failed``.
        """
        members, days = len(log_parameters), len(basis.mean)
        output = self._buffers.get("output", days, members)
        schedule = schedule_features(course).astype(np.float32)[None, :]
        for first in range(0, members, CHUNK):
            chunk = log_parameters[first : first + CHUNK]
            rows = self._chunks.get("rows", *chunk.shape)
            rows[...] = chunk
            whole = len(chunk) == members
            target = output if whole else self._chunks.get("target", days, len(chunk))
            self._run({"log_parameters": rows, "schedule": schedule, "modes": basis.modes, "mean": basis.mean}, target)
            if not whole:
                output[:, first : first + CHUNK] = target
        return output

    def _run(self, inputs: Mapping[str, Singles], target: Singles) -> None:
        binding = self._session.io_binding()
        try:
            for name, array in inputs.items():
                binding.bind_cpu_input(name, array)
            binding.bind_output("counts", "cpu", 0, np.float32, target.shape, target.ctypes.data)
            self._session.run_with_iobinding(binding)
        except Exception as error:  # the library's exceptions have no common base
            raise BundleError(f"onnxruntime failed: {error}", reason="engine_failed") from error


class LitertCourse:
    """The network in LiteRT (``ai-edge-litert``, or ``tflite-runtime`` where only that exists).

    Raises:
        BundleError: ``graph_missing``, ``library_missing``, ``graph_refused``.
    """

    name = LITERT

    def __init__(self, bundle: Bundle, student: Student) -> None:
        name = bundle.manifest["student"].get("litert")
        if name not in bundle.files:
            raise BundleError("the bundle has no LiteRT file", reason="graph_missing")
        try:
            self._interpreter = _interpreter()(model_content=bundle.files[name], num_threads=1)
            self._input = self._interpreter.get_input_details()[0]["index"]
            self._output = self._interpreter.get_output_details()[0]["index"]
        except (RuntimeError, ValueError, IndexError) as error:
            raise BundleError(f"LiteRT refuses the file: {error}", reason="graph_refused") from error
        self._floor = np.float32(student.floor)
        self._batch = 0
        self._buffers = _Buffers()

    def counts(self, log_parameters: Floats, course: Course, basis: CalendarBasis) -> Singles:
        """See ``CourseEngine.counts``.

        Raises:
            BundleError: ``engine_failed``.
        """
        members, days = len(log_parameters), len(basis.mean)
        output = self._buffers.get("output", days, members)
        for first in range(0, members, CHUNK):
            chunk = log_parameters[first : first + CHUNK]
            features = self._buffers.get("features", len(chunk), MEMBER_FEATURES + 2)
            features[:, :MEMBER_FEATURES] = chunk[:, 1:]
            features[:, MEMBER_FEATURES:] = schedule_features(course)
            latent = self._latent(features)
            decode(latent.T, chunk[:, 0].astype(np.float32), basis, self._floor, output[:, first : first + CHUNK])
        return output

    def _latent(self, features: Singles) -> Singles:
        interpreter = self._interpreter
        try:
            if len(features) != self._batch:
                interpreter.resize_tensor_input(self._input, features.shape)
                interpreter.allocate_tensors()
                self._batch = len(features)
            interpreter.set_tensor(self._input, features)
            interpreter.invoke()
            return np.asarray(interpreter.get_tensor(self._output), np.float32)
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"LiteRT failed: {error}", reason="engine_failed") from error


def _interpreter() -> Callable[..., Any]:
    """The interpreter class of whichever LiteRT package there is."""
    for module in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        try:
            found: Callable[..., Any] = __import__(module, fromlist=["Interpreter"]).Interpreter
        except (ImportError, OSError):
            continue
        return found
    raise BundleError("neither ai-edge-litert nor tflite-runtime can be imported", reason="library_missing")


CANDIDATES: Mapping[str, Callable[[Bundle, Student], CourseEngine]] = MappingProxyType(
    {ONNXRUNTIME: OnnxCourse, LITERT: LitertCourse, NUMPY: lambda _bundle, student: NumpyCourse(student)}
)


class CourseEngineChoice:
    """The engine that passed the golden vectors, and why others were refused (by name)."""

    def __init__(self, engine: CourseEngine, refused: Mapping[str, str]) -> None:
        self.engine = engine
        self.refused = MappingProxyType(dict(refused))


def select_course_engine(bundle: Bundle, student: Student, prefer: str | None = None) -> CourseEngineChoice:
    """The first engine that reproduces the golden vectors.

    Args:
        bundle: verified.
        student: of the bundle.
        prefer: tried first and then numpy; otherwise onnxruntime, LiteRT, numpy; each only when the bundle lists it.

    Raises:
        BundleError: ``engine_unknown``, ``no_engine``.
    """
    if prefer is not None and prefer not in CANDIDATES:
        raise BundleError(f"there is no engine {prefer!r}", reason="engine_unknown")
    refused: dict[str, str] = {}
    for name in dict.fromkeys([prefer, NUMPY] if prefer else CANDIDATES):
        if name not in bundle.engine_names:
            refused[name] = "not_listed: the bundle was not certified for it"
            continue
        try:
            engine = CANDIDATES[name](bundle, student)
            check_course_golden(engine, bundle, student)
        except BundleError as error:
            refused[name] = f"{error.reason}: {error}"
            _LOG.warning("engine %s refused for bundle %s: %s", name, bundle.id, refused[name])
        else:
            return CourseEngineChoice(engine, refused)
    raise BundleError("; ".join(f"{name}: {why}" for name, why in refused.items()), reason="no_engine")


def check_course_golden(engine: CourseEngine, bundle: Bundle, student: Student) -> float:
    """Largest difference from the golden counts, relative to count + floor · baseline.

    Raises:
        BundleError: ``golden_mismatch`` when it exceeds the bundle's tolerance or is not a number.
    """
    golden = bundle.golden()
    item = bundle.manifest["student"]["golden_course"]
    course = Course(0.0, student.grid.cycles, item["interval_days"], item["amount_mg"], student.envelope.infusion_days)
    days = np.concatenate(([0.0], np.cumsum(golden.steps[:, 0])))
    output = engine.counts(golden.log_parameters, course, student.calendar(course, days))
    scale = golden.output + student.floor * np.exp(golden.log_parameters[:, 0])
    difference = float(np.max(np.abs(output - golden.output) / scale))
    if not difference <= bundle.engine.tolerance_relative:
        raise BundleError(f"differs from the golden vectors by {difference:.1e}", reason="golden_mismatch")
    return difference
