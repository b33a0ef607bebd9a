"""Builds the bundle ``resistance-emulator``: ``python -m edge_twin_models.build_emulator [ARCHIVE]``.

Runs the stochastic teacher with replicates, trains (needs the ``distill`` extra), calibrates the shape on fresh
runs and certifies on others.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import SCHEMA, load_bundle
from edge_twin.emulator import DISTRIBUTION_EMULATOR, Emulator, Shape
from edge_twin.emulator import features as network_features
from edge_twin.engines.network_engines import CANDIDATES, NumpyNetwork
from edge_twin.errors import BundleError
from edge_twin_models.card_emulator import card
from edge_twin_models.clone_teacher import EXACT_CELLS, HORIZON_DAYS, LEAP_SHARE, PARAMETERS, ResistantClone
from edge_twin_models.course_export import litert_bytes, npz_bytes
from edge_twin_models.emulator_certify import certificate, standardised
from edge_twin_models.emulator_train import (
    EmulatorTraining,
    clone_sample,
    moments,
    replicate,
    train_emulator,
)
from edge_twin_models.network import Layers
from edge_twin_models.network_graph import network_graph
from edge_twin_models.releasing import main, opened, with_manifest, write_files
from edge_twin_models.teacher import Teacher

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

BUNDLE_ID = "resistance-emulator"
VERSION = 1
CREATED, EXPIRES, MIN_RUNTIME = "2026-11-25T00:00:00+00:00", "2028-11-25T00:00:00+00:00", "0.1.0"
TOLERANCE = 2e-5  # single precision, relative to 1 + |output|
GOLDEN_MEMBERS, GOLDEN_STEPS = 16, (15.0, 30.0, 45.0)
SHAPE_LEVELS = (0.001, 0.005, 0.01, *(np.arange(1, 40) / 40.0).tolist(), 0.99, 0.995, 0.999)


TRAINING = EmulatorTraining()


@dataclass(frozen=True, slots=True)
class EmulatorPlan:
    """Sizes and seeds: points, replicates and seed of each sample."""

    training: EmulatorTraining = TRAINING
    design: tuple[int, int, int] = (4096, 40, 41)
    calibration: tuple[int, int, int] = (8000, 1, 42)
    certificate: tuple[int, int, int] = (200, 500, 44)


@dataclass(frozen=True, eq=False)
class _Parts:
    """What a bundle is made of."""

    arrays: Mapping[str, Singles]
    shape: Shape
    certificate: Mapping[str, float | int]


class MomentEmulator:
    """Reduction method: a network for the atom at zero, the mean and the variance, and a conformal shape.

    Args:
        plan: sizes and seeds.
        executor: where the teacher runs; this process when None.
    """

    name = "distribution"
    suffix = "-emulator"

    def __init__(self, plan: EmulatorPlan | None = None, executor: Executor | None = None) -> None:
        self._plan, self._executor = plan or EmulatorPlan(), executor

    def reduce(self, teacher: Teacher) -> Mapping[str, bytes]:
        """See ``teacher.ReductionMethod``."""
        if not isinstance(teacher, ResistantClone):
            raise BundleError(f"{teacher.name} is not stochastic", reason="method_not_for_teacher")
        points, replicates, seed = self._plan.design
        sample = clone_sample(points, seed)
        found = moments(replicate(teacher, sample, replicates, seed, self._executor))
        layers = train_emulator(sample, found, self._plan.training)
        parts = _Parts(_singles(layers), _normal_shape(), {})
        parts = replace(parts, shape=self._calibrated(teacher, parts))
        return bundle_files(replace(parts, certificate=self._certified(teacher, parts)))

    def _calibrated(self, teacher: ResistantClone, parts: _Parts) -> Shape:
        """Quantiles of the standardised logarithms; the k-th of n values stands at the level k / (n + 1)."""
        points, replicates, seed = self._plan.calibration
        sample = clone_sample(points, seed, quasi=False)
        emulator, engine = _opened(parts)
        prediction = emulator.distribution(engine, sample.log_parameters, sample.days)
        scores = np.sort(standardised(prediction, replicate(teacher, sample, replicates, seed, self._executor)))
        levels = np.array(SHAPE_LEVELS)
        places = np.arange(1, len(scores) + 1) / (len(scores) + 1.0)
        return Shape(levels, np.array([float(f"{value:.6g}") for value in np.interp(levels, places, scores)]))

    def _certified(self, teacher: ResistantClone, parts: _Parts) -> dict[str, float | int]:
        points, replicates, seed = self._plan.certificate
        sample = clone_sample(points, seed, quasi=False)
        emulator, engine = _opened(parts)
        return certificate(emulator, engine, sample, replicate(teacher, sample, replicates, seed, self._executor))


def build(directory: Path, plan: EmulatorPlan | None = None, executor: Executor | None = None) -> None:
    """Write the bundle and check that it opens; files of the same names are replaced."""
    write_files(directory, MomentEmulator(plan, executor).reduce(ResistantClone()))
    Emulator(load_bundle(directory))


def bundle_files(parts: _Parts) -> Mapping[str, bytes]:
    """All files of the bundle, ``manifest.json`` included."""
    manifest = _manifest(parts)
    contents = {
        "card.md": card(manifest).encode(),
        "golden.npz": _golden(parts.arrays),
        "model.onnx": network_graph(parts.arrays, BUNDLE_ID),
        "model.tflite": litert_bytes(parts.arrays),
        "weights.npz": npz_bytes(parts.arrays),
    }
    return with_manifest(manifest, contents)


def _singles(layers: Layers) -> dict[str, Singles]:
    arrays = {}
    for number, (weight, bias) in enumerate(zip(layers.weights, layers.biases, strict=True), start=1):
        arrays[f"w{number}"], arrays[f"b{number}"] = weight.astype(np.float32), bias.astype(np.float32)
    return arrays


def _normal_shape() -> Shape:
    """The standard normal distribution, until the shape is calibrated."""
    from statistics import NormalDist  # noqa: PLC0415 - only a distillation needs it

    return Shape(np.array(SHAPE_LEVELS), np.array([NormalDist().inv_cdf(level) for level in SHAPE_LEVELS]))


def _opened(parts: _Parts) -> tuple[Emulator, NumpyNetwork]:
    """The bundle so far, read as a device would."""
    emulator = Emulator(opened(bundle_files(parts)))
    return emulator, NumpyNetwork(emulator.arrays)


def _golden(arrays: Mapping[str, Singles]) -> bytes:
    """Outputs in double precision from the single-precision weights: what the engines are compared with."""
    members = clone_sample(GOLDEN_MEMBERS, 1, quasi=False).log_parameters
    horizons = HORIZON_DAYS[0] + np.concatenate(([0.0], np.cumsum(GOLDEN_STEPS)))
    exact = Layers(
        tuple(arrays[f"w{n}"].astype(np.float64) for n in (1, 2, 3)),
        tuple(arrays[f"b{n}"].astype(np.float64) for n in (1, 2, 3)),
    )
    raw = np.stack([exact(network_features(members, days).astype(np.float64)) for days in horizons.tolist()])
    steps = np.array(GOLDEN_STEPS)[:, None]
    return npz_bytes({"log_parameters": members, "steps": steps, "output": raw[:, :, 1], "raw": raw})


def _manifest(parts: _Parts) -> dict[str, Any]:
    (output,) = ResistantClone.outputs
    return {
        "schema": SCHEMA,
        "id": BUNDLE_ID,
        "version": VERSION,
        "created": CREATED,
        "expires": EXPIRES,
        "min_runtime": MIN_RUNTIME,
        "title": "Resistant cells under therapy, as a distribution (building block)",
        "drug": ResistantClone.drug,
        "parameters": [parameter.as_json() for parameter in PARAMETERS],
        "fixed": [
            _fixed("exact_cells", "1", EXACT_CELLS, "up to so many cells the teacher draws every event"),
            _fixed("leap_share", "1", LEAP_SHARE, "length of a leap of the teacher in a cell's mean waiting time"),
        ],
        "outputs": [{"name": output.name, "system": "urn:edge-twin", "code": output.name, "unit": output.unit}],
        "residual_log_sd": ResistantClone.residual_log_sd,
        "engine": {
            "kind": DISTRIBUTION_EMULATOR,
            "max_step_days": HORIZON_DAYS[1],
            "tolerance_relative": TOLERANCE,
            "graph": "model.onnx",
            "golden": "golden.npz",
        },
        "engines": list(CANDIDATES),
        "emulator": {
            "weights": "weights.npz",
            "litert": "model.tflite",
            "learned_values": int(sum(array.size for array in parts.arrays.values())),
            "min_horizon_days": HORIZON_DAYS[0],
            "max_horizon_days": HORIZON_DAYS[1],
            "shape_levels": [parts.shape.levels.tolist()],
            "shape_values": [parts.shape.values.tolist()],
        },
        "certificate": dict(parts.certificate),
        "card": "card.md",
    }


def _fixed(name: str, unit: str, value: float, source: str) -> dict[str, Any]:
    return {"name": name, "unit": unit, "value": value, "mark": "C", "source": source}


if __name__ == "__main__":
    main(BUNDLE_ID, build)
