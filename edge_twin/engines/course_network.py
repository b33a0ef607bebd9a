"""Engines of the course network: numpy (always there), onnxruntime and LiteRT; all must agree.

Every engine writes the counts of an ensemble into one float32 buffer that is reused: the result of a
call is valid until the next one. Members run along the last axis, so that the statistics sort
contiguous rows. onnxruntime runs the whole graph; LiteRT runs the network and numpy the basis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle
from edge_twin.course import Course
from edge_twin.engines.buffers import Buffers, silu
from edge_twin.engines.litert_network import LitertNetwork
from edge_twin.engines.onnx_session import BoundSession
from edge_twin.engines.selection import LITERT, NUMPY, ONNXRUNTIME, Choice, Settings, select, within_tolerance
from edge_twin.errors import BundleError
from edge_twin.student import MEMBER_FEATURES, SCHEDULE_FEATURES, CalendarBasis, Student, schedule_features

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
        self._buffers = Buffers()

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
        silu(one, bias, spare=two)
        np.matmul(self._w2, one, out=two)
        silu(two, self._b2, spare=one)
        return np.matmul(self._w3, two, out=self._buffers.get("part", len(self._b3), members))


def decode(latent: Singles, log_baseline: Singles, basis: CalendarBasis, floor: np.float32, out: Singles) -> None:
    """Counts [t, n] of latent values [k, n] and ln baselines [n], which are overwritten."""
    if out.flags.c_contiguous:
        np.matmul(basis.modes, latent, out=out)
    else:
        out[...] = basis.modes @ latent
    out += basis.mean
    np.exp(out, out=out)
    out -= floor
    out *= np.exp(log_baseline, out=log_baseline)
    np.maximum(out, np.float32(0.0), out=out)


class OnnxCourse:
    """The whole graph in onnxruntime, one thread, bound to reused buffers.

    Attributes:
        providers: execution providers of the session, in order of preference.

    Raises:
        BundleError: ``graph_missing``, or as ``onnx_session.open_session``.
    """

    name = ONNXRUNTIME

    def __init__(self, bundle: Bundle, _student: Student, providers: Settings = ()) -> None:
        if bundle.engine.graph is None:
            raise BundleError("the bundle has no ONNX graph", reason="graph_missing")
        self._session = BoundSession(bundle.files[bundle.engine.graph], "counts", providers)
        self.providers: tuple[str, ...] = self._session.providers
        self._buffers = Buffers()
        self._chunks = Buffers()

    def counts(self, log_parameters: Floats, course: Course, basis: CalendarBasis) -> Singles:
        """See ``CourseEngine.counts``.

        Raises:
            BundleError: ``engine_failed``.
        """
        members, days = len(log_parameters), len(basis.mean)
        output = self._buffers.get("output", days, members)
        schedule = self._buffers.get("schedule", 1, SCHEDULE_FEATURES)
        schedule[0] = schedule_features(course)
        for first in range(0, members, CHUNK):
            chunk = log_parameters[first : first + CHUNK]
            rows = self._chunks.get("rows", *chunk.shape)
            rows[...] = chunk
            whole = len(chunk) == members
            target = output if whole else self._chunks.get("target", days, len(chunk))
            self._session.run(
                {"log_parameters": rows, "schedule": schedule, "modes": basis.modes, "mean": basis.mean}, target
            )
            if not whole:
                output[:, first : first + CHUNK] = target
        return output


class LitertCourse:
    """The network in LiteRT, the basis in numpy.

    Attributes:
        library: which package runs it; see ``litert_network``.

    Raises:
        BundleError: ``graph_missing``, or as ``LitertNetwork``.
    """

    name = LITERT

    def __init__(self, bundle: Bundle, student: Student, library: Settings = ()) -> None:
        name = bundle.manifest["student"].get("litert")
        if name not in bundle.files:
            raise BundleError("the bundle has no LiteRT file", reason="graph_missing")
        self._network = LitertNetwork(bundle.files[name], *library)
        self.library = self._network.library
        self._floor = np.float32(student.floor)
        self._modes = student.arrays["b3"].size
        self._buffers = Buffers()

    def counts(self, log_parameters: Floats, course: Course, basis: CalendarBasis) -> Singles:
        """See ``CourseEngine.counts``.

        Raises:
            BundleError: ``engine_failed``.
        """
        members, days = len(log_parameters), len(basis.mean)
        output = self._buffers.get("output", days, members)
        for first in range(0, members, CHUNK):
            chunk = log_parameters[first : first + CHUNK]
            features = self._buffers.get("features", len(chunk), MEMBER_FEATURES + SCHEDULE_FEATURES)
            features[:, :MEMBER_FEATURES] = chunk[:, 1:]
            features[:, MEMBER_FEATURES:] = schedule_features(course)
            latent = self._buffers.get("latent", len(chunk), self._modes)
            self._network.run(features, latent)
            baseline = self._buffers.get("baseline", len(chunk))
            baseline[...] = chunk[:, 0]
            decode(latent.T, baseline, basis, self._floor, output[:, first : first + CHUNK])
        return output


def _numpy_course(_bundle: Bundle, student: Student, _settings: Settings = ()) -> CourseEngine:
    return NumpyCourse(student)


CANDIDATES: Mapping[str, Callable[..., CourseEngine]] = MappingProxyType(
    {ONNXRUNTIME: OnnxCourse, LITERT: LitertCourse, NUMPY: _numpy_course}
)
"""Makers by name: bundle, student and, where an engine has several ways to run, its settings."""


def select_course_engine(bundle: Bundle, student: Student, prefer: str | None = None) -> Choice[CourseEngine]:
    """The first engine that reproduces the golden vectors.

    Args:
        bundle: verified.
        student: of the bundle.
        prefer: tried first and then numpy; otherwise onnxruntime, LiteRT, numpy; each only when the bundle lists it.

    Raises:
        BundleError: ``engine_unknown``, ``no_engine``.
    """
    return select(CANDIDATES, prefer, lambda engine: check_course_golden(engine, bundle, student), bundle, student)


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
    return within_tolerance(difference, bundle)
