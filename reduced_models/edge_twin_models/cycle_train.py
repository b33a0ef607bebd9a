"""Trains a cycle operator: the basis of the curves, the network and the guard.

Seeded and on one thread: on the same machine and library versions the weights repeat bit for bit.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_twin.cycle_weights import FRIBERG_LAYOUT, Layout
from edge_twin_models.cycle_design import DOCETAXEL, CycleDesign, cycle_runs

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

COUNT_WEIGHT = 2.0  # of ln c against the other states in basis and loss: it is what is reported
DISTANCE_QUANTILE = 0.999  # of the design's own squared distances; a chain of 12 cycles is guarded 12 times
BOX_MARGIN = 0.02  # of the design's range, on both sides
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights.

    Attributes:
        patients: Sobol points of the design, each with 12 cycles.
        basis: size of the basis of the curves.
        width: of the two hidden layers.
        epochs, batch: passes over the design and runs per step.
        rate: largest step of Adam, cosine to zero after ``warm_up`` steps.
        seed: of design, initial weights and order.
    """

    patients: int = 4096
    basis: int = 28
    width: int = 112
    epochs: int = 300
    batch: int = 512
    rate: float = 4e-3
    warm_up: int = 300
    seed: int = 20261125


@dataclass(frozen=True, eq=False)
class Basis:
    """Proper orthogonal decomposition of the stacked log curves.

    Attributes:
        centre: [m] mean. vectors: [k, m]. coefficients: [r, k] of the design.
        scale: [k] standard deviation of each coefficient.
    """

    centre: Floats
    vectors: Floats
    coefficients: Floats
    scale: Floats


def train(recipe: Recipe, design: CycleDesign = DOCETAXEL, executor: Executor | None = None) -> Arrays:
    """Arrays of the weights file; see ``edge_twin.cycle_weights.Weights``.

    Args:
        recipe: the shipped weights come from ``Recipe()``.
        design: of the teacher.
        executor: where the teacher runs; this process when None.
    """
    runs = cycle_runs(recipe.patients, recipe.seed, design=design, executor=executor)
    basis = decompose(runs.curves, recipe.basis, design.layout)
    mean, scale = runs.inputs.mean(axis=0), runs.inputs.std(axis=0)
    network = _fit((runs.inputs - mean) / scale, basis.coefficients, recipe)
    counts, states = _unstacked(basis, design.layout.points)
    arrays = {"mean": mean, "scale": scale, **network, **counts, **states}
    singles = {name: np.asarray(value, dtype=np.float32) for name, value in arrays.items()}
    return MappingProxyType(singles | guard(runs.inputs))


def decompose(curves: Floats, size: int, layout: Layout = FRIBERG_LAYOUT) -> Basis:
    """Basis of ln c on the whole grid and of the other states where a piece may end; float64 throughout.

    Args:
        curves: [r, states, g].
        size: number of vectors.
        layout: of the curves.
    """
    weights = np.concatenate((np.full(layout.points, COUNT_WEIGHT), np.ones(layout.state_points)))
    stacked = _stacked(curves, layout)
    centre = stacked.mean(axis=0)
    stacked -= centre
    stacked *= weights
    _, vectors = np.linalg.eigh(stacked.T @ stacked / len(stacked))
    kept = vectors[:, ::-1][:, :size]
    # The sign of an eigenvector is free: the largest entry is made positive.
    kept = kept * np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(size)])
    coefficients = stacked @ kept
    return Basis(centre, kept.T / weights, coefficients, coefficients.std(axis=0))


def guard(inputs: Floats) -> dict[str, Floats]:
    """Box and Mahalanobis distance of the design's inputs."""
    low, high = inputs.min(axis=0), inputs.max(axis=0)
    margin = BOX_MARGIN * (high - low)
    precision = np.linalg.inv(np.cov(inputs, rowvar=False))
    away = inputs - inputs.mean(axis=0)
    distances = np.einsum("ri,ij,rj->r", away, precision, away)
    largest = np.quantile(distances, DISTANCE_QUANTILE)
    return {"low": low - margin, "high": high + margin, "precision": precision, "max_distance": np.asarray(largest)}


def npz_bytes(arrays: Arrays) -> bytes:
    """An npz file whose bytes depend on the arrays alone (``np.savez`` writes the time of day)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            content = io.BytesIO()
            np.save(content, np.ascontiguousarray(arrays[name]) if np.ndim(arrays[name]) else arrays[name])
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", ZIP_DATE), content.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _stacked(curves: Floats, layout: Layout) -> Floats:
    """[r, m]: ln c first, then the other states from the first point on at which a piece may end."""
    late = curves[:, : layout.pools, layout.first_state_point :].reshape(len(curves), -1)
    return np.concatenate((curves[:, layout.pools], late), axis=1)


def _unstacked(basis: Basis, points: int) -> tuple[dict[str, Floats], dict[str, Floats]]:
    counts = {"counts_centre": basis.centre[:points], "counts_basis": basis.vectors[:, :points]}
    states = {"states_centre": basis.centre[points:], "states_basis": basis.vectors[:, points:]}
    return counts, states


def _fit(inputs: Floats, coefficients: Floats, recipe: Recipe) -> dict[str, Floats]:
    """Weights of the network by Adam; the loss is the mean square error of the weighted curves."""
    import torch  # noqa: PLC0415 - the distill extra, only where models are made

    torch.manual_seed(recipe.seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    linear, *_ = np.linalg.lstsq(np.column_stack((inputs, np.ones(len(inputs)))), coefficients, rcond=None)
    size = coefficients.shape[1]
    network = torch.nn.Sequential(
        torch.nn.Linear(inputs.shape[1], recipe.width),
        torch.nn.SiLU(),
        torch.nn.Linear(recipe.width, recipe.width),
        torch.nn.SiLU(),
        torch.nn.Linear(recipe.width, size),
    )
    # The linear part is solved, the network learns the rest in units of its largest deviation.
    rest = coefficients - inputs @ linear[:-1] - linear[-1]
    unit = float(rest.std(axis=0).max())
    tensors = torch.tensor(inputs, dtype=torch.float32), torch.tensor(rest / unit, dtype=torch.float32)
    _optimise(torch, network, tensors, recipe)
    linears = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    layers = [(layer.weight.detach().double().numpy().T, layer.bias.detach().double().numpy()) for layer in linears]
    named = {f"hidden_weight_{n}": weight for n, (weight, _) in enumerate(layers[:-1])}
    named |= {f"hidden_bias_{n}": bias for n, (_, bias) in enumerate(layers[:-1])}
    last_weight, last_bias = layers[-1]
    return named | {"last_weight": last_weight * unit, "last_bias": last_bias * unit + linear[-1], "skip": linear[:-1]}


def _optimise(torch: Any, network: Any, tensors: tuple[Any, Any], recipe: Recipe) -> None:  # noqa: ANN401 - the library is loaded by the caller
    inputs, targets = tensors
    steps = recipe.epochs * (len(inputs) // recipe.batch)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _cosine(steps, recipe.warm_up))
    order = torch.Generator().manual_seed(recipe.seed)
    for _ in tqdm(range(recipe.epochs), desc="network", leave=False, disable=None):
        shuffled = torch.randperm(len(inputs), generator=order)
        for first in range(0, len(inputs) - recipe.batch + 1, recipe.batch):
            chosen = shuffled[first : first + recipe.batch]
            loss = (network(inputs[chosen]) - targets[chosen]).square().sum(dim=1).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()


def _cosine(steps: int, warm_up: int) -> Callable[[int], float]:
    """Factor of the step size: linear warm-up, then half a cosine."""

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / warm_up) * 0.5 * (1.0 + float(np.cos(np.pi * min(1.0, step / steps))))

    return factor
