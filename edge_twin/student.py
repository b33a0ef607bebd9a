"""The learned student of a course of equal cycles: a small network, the modes of its curves, its envelope.

    features = ln(the patient's parameters but the baseline, dose, interval)
    latent   = W3·silu(W2·silu(W1·features + b1) + b2) + b3
    count    = baseline · max(exp(modes·latent + mean) - floor, 0)

The baseline, the first parameter, only scales the counts, in the equations of Friberg (mtt, slope, gamma) as in
those of Jost (ktr, slope, gamma).

Modes and mean live on the dose-aligned grid of ``course``. The floor, a fraction of the baseline, keeps
the logarithm from learning counts that no laboratory can tell from zero. Everything comes from one
verified npz file and from numbers of the manifest; nothing is executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle
from edge_twin.course import ONCE, Course, WarpedGrid
from edge_twin.engines import kinds
from edge_twin.engines.buffers import Buffers
from edge_twin.errors import BundleError
from edge_twin.manifest import Reader
from edge_twin.npz import read_arrays

COURSE_NETWORK = kinds.COURSE_NETWORK
ARRAYS = ("w1", "b1", "w2", "b2", "w3", "b3", "modes", "mean")
MEMBER_FEATURES, SCHEDULE_FEATURES = 3, 2

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Booleans = NDArray[np.bool_]


class CalendarBasis(NamedTuple):
    """Modes and mean on the requested days of one course.

    Attributes:
        modes: [t, k]; mean: [t, 1]; both float32 and contiguous.
    """

    modes: Singles
    mean: Singles


@dataclass(frozen=True, slots=True)
class CourseEnvelope:
    """Where the student was certified.

    Attributes:
        low, high: [5] bounds of the logarithms of the three parameters, the dose, the interval.
        kill_weights, max_log_kill: bound of a weighted sum of the features, the logarithm of how much the
            treatment kills: ln(slope · dose) where the effect is linear in the dose.
        infusion_days: length of every infusion.
        centre, precision, max_distance: Mahalanobis guard of the features, [5], [5, 5] and the empirical
            99 % quantile of the squared distance in the training design.
        offsets_days: administrations of a cycle, see ``course.Course``.
    """

    low: Floats
    high: Floats
    kill_weights: Floats
    max_log_kill: float
    infusion_days: float
    centre: Floats
    precision: Floats
    max_distance: float
    offsets_days: tuple[float, ...] = ONCE

    def inside(self, features: Floats, memory: Buffers | None = None) -> Booleans:
        """[n] whether features [n, 5] lie in the box, under the bound of the kill and within the distance.

        Args:
            features: see ``Student.features``.
            memory: of float64, for what lies between; its own when None.
        """
        memory = memory or Buffers(np.float64)
        boxed = ((features >= self.low) & (features <= self.high)).all(axis=1)
        bearable = features @ self.kill_weights <= self.max_log_kill
        away = np.subtract(features, self.centre, out=memory.get("away", *features.shape))
        weighted = np.matmul(away, self.precision, out=memory.get("weighted", *features.shape))
        weighted *= away
        distance = weighted.sum(axis=1)
        return np.asarray(boxed & bearable & (distance <= self.max_distance))


@dataclass(frozen=True, eq=False)
class Student:
    """Weights and what is known about them.

    Attributes:
        arrays: float32 by name: w1 [5, h], b1 [h], w2 [h, h], b2 [h], w3 [h, k], b3 [k], modes [g, k], mean [g].
        grid: dose-aligned grid of modes and mean.
        floor: fraction of the baseline.
        envelope: see ``CourseEnvelope``.
        log_half_width: simultaneous 95 % split-conformal half-width of ln(count / baseline + floor), student
            against teacher, after the way back to calendar days.
    """

    arrays: Mapping[str, Singles]
    grid: WarpedGrid
    floor: float
    envelope: CourseEnvelope
    log_half_width: float

    @property
    def parameters(self) -> int:
        """Number of trained values and of values of the basis."""
        return sum(array.size for array in self.arrays.values())

    def features(self, log_parameters: Floats, course: Course, memory: Buffers | None = None) -> Floats:
        """[n, 5] of members under a course with an interval, in ``memory`` of float64 where it is given."""
        memory = memory or Buffers(np.float64)
        features: Floats = memory.get("features", len(log_parameters), MEMBER_FEATURES + SCHEDULE_FEATURES)
        features[:, :MEMBER_FEATURES] = log_parameters[:, 1:]
        features[:, MEMBER_FEATURES:] = schedule_features(course)
        return features

    def calendar(self, course: Course, days: Floats) -> CalendarBasis:
        """The basis at calendar days.

        Args:
            course: with an interval.
            days: [t] days after the first dose, in [0, horizon].
        """
        columns = np.column_stack((self.arrays["modes"], self.arrays["mean"])).astype(np.float64)
        values = self.grid.calendar(columns, course.interval_days or 0.0, days).astype(np.float32)
        return CalendarBasis(np.ascontiguousarray(values[:, :-1]), np.ascontiguousarray(values[:, -1:]))

    def band(self, counts: Floats, baseline: Floats) -> tuple[Floats, Floats]:
        """Simultaneous 95 % band of the teacher around the student's counts [t, n] with baselines [n]."""
        offset = self.floor * baseline
        factor = float(np.exp(self.log_half_width))
        lower = np.maximum((counts + offset) / factor - offset, 0.0)
        return lower, np.asarray((counts + offset) * factor - offset)


def schedule_features(course: Course) -> Floats:
    """[2] ln mg and ln days."""
    return np.log([course.amount_mg, course.interval_days or 0.0])


def load_student(bundle: Bundle) -> Student:
    """The student of a verified bundle.

    Raises:
        BundleError: ``engine_kind_unknown`` for another kind of bundle, ``malformed``.
    """
    if bundle.engine.kind != COURSE_NETWORK:
        raise BundleError(f"{bundle.id} holds no course network", reason="engine_kind_unknown")
    item = Reader(bundle.manifest).child("student")
    student = Student(
        arrays=_arrays(bundle.files, item.text("weights")),
        grid=WarpedGrid.from_json(item.child("grid")),
        floor=item.number("floor", above=0.0),
        envelope=_envelope(item.child("envelope")),
        log_half_width=item.child("conformal").number("log_half_width", above=0.0),
    )
    _check_shapes(student)
    return student


def _arrays(files: Mapping[str, bytes], name: str) -> dict[str, Singles]:
    try:
        loaded = read_arrays(files[name])
        arrays = {key: np.ascontiguousarray(loaded[key], np.float32) for key in ARRAYS}
    except (KeyError, ValueError) as error:
        raise BundleError("the weights cannot be read", reason="malformed") from error
    if not all(bool(np.isfinite(array).all()) for array in arrays.values()):
        raise BundleError("a weight is not finite", reason="malformed")
    return arrays


def _check_shapes(student: Student) -> None:
    arrays = student.arrays
    hidden, modes = arrays["b1"].size, arrays["b3"].size
    expected = {
        "w1": (MEMBER_FEATURES + SCHEDULE_FEATURES, hidden),
        "b1": (hidden,),
        "w2": (hidden, hidden),
        "b2": (hidden,),
        "w3": (hidden, modes),
        "b3": (modes,),
        "modes": (student.grid.size, modes),
        "mean": (student.grid.size,),
    }
    if wrong := [name for name, shape in expected.items() if arrays[name].shape != shape]:
        raise BundleError(f"the weights {wrong[0]} have another shape", reason="malformed")


def _envelope(item: Reader) -> CourseEnvelope:
    low, high, centre, kill = (
        np.array(item.matrix(name)[0]) for name in ("log_low", "log_high", "centre", "kill_weights")
    )
    precision = np.array(item.matrix("precision"))
    size = MEMBER_FEATURES + SCHEDULE_FEATURES
    if any(array.shape != (size,) for array in (low, high, centre, kill)) or precision.shape != (size, size):
        raise BundleError("the envelope has another shape", reason="malformed")
    return CourseEnvelope(
        low,
        high,
        kill,
        item.number("max_log_kill"),
        item.number("infusion_days", low=0.0),
        centre,
        precision,
        item.number("max_distance", above=0.0),
        _offsets(item),
    )


def _offsets(item: Reader) -> tuple[float, ...]:
    """Administrations of a cycle; one where the manifest names none."""
    if "offsets_days" not in item.content:
        return ONCE
    offsets = item.matrix("offsets_days")[0]
    if offsets[:1] != [0.0] or any(later <= earlier for earlier, later in pairwise(offsets)):
        raise BundleError("the administrations of a cycle must increase from 0", reason="malformed")
    return tuple(offsets)
