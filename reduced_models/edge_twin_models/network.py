"""Training of the student's network in PyTorch; what is exported are plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Training:
    """How the network is trained.

    Attributes:
        hidden: width of both hidden layers.
        epochs, batch: passes over the data and samples of one step.
        peak_rate: of Adam after ``warm_up`` steps; then a cosine down to zero.
        seed: of weights and order.
    """

    hidden: int = 128
    epochs: int = 400
    batch: int = 512
    peak_rate: float = 4e-3
    warm_up: int = 200
    seed: int = 7


@dataclass(frozen=True)
class Layers:
    """A multilayer perceptron; between the layers SiLU, x·sigmoid(x).

    Attributes:
        weights: [inputs, outputs] of each layer; biases: [outputs].
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def __call__(self, inputs: Floats) -> Floats:
        """[n, inputs] to [n, outputs] in double precision: the oracle of the engines."""
        values = inputs
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = values @ weight + bias
            if index < len(self.weights) - 1:
                values = values / (1.0 + np.exp(-values))
        return values


def train(inputs: Floats, targets: Floats, plan: Training) -> Layers:
    """Least squares by Adam, one thread, the same bytes from the same seed on the same machine.

    Inputs and targets are scaled inside; the scaling is folded into the first and the last layer.

    Args:
        inputs: [n, f].
        targets: [n, k], all columns in the same unit (their errors count alike).
        plan: see ``Training``.
    """
    low, high = inputs.min(axis=0), inputs.max(axis=0)
    centre, half = 0.5 * (low + high), 0.5 * (high - low)
    scale = float(targets.std())
    layers = _fit((inputs - centre) / half, targets / scale, plan)
    weights, biases = list(layers.weights), list(layers.biases)
    weights[0] = weights[0] / half[:, None]
    biases[0] = biases[0] - centre @ weights[0]
    weights[-1], biases[-1] = weights[-1] * scale, biases[-1] * scale
    return Layers(tuple(weights), tuple(biases))


def _fit(inputs: Floats, targets: Floats, plan: Training) -> Layers:
    import torch  # noqa: PLC0415 - seconds to import, and only a distillation needs it

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(plan.seed)
    network = _network(inputs.shape[1], plan.hidden, targets.shape[1])
    data = torch.tensor(inputs, dtype=torch.float32), torch.tensor(targets, dtype=torch.float32)
    optimiser = torch.optim.Adam(network.parameters(), lr=plan.peak_rate, fused=True)
    total = plan.epochs * (len(inputs) // plan.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, total, plan.warm_up))
    for _ in tqdm(range(plan.epochs), desc="training", leave=False, disable=None):
        _epoch(network, data, optimiser, schedule, plan.batch)
    linear = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    return Layers(
        tuple(layer.weight.detach().numpy().T.astype(np.float64) for layer in linear),
        tuple(layer.bias.detach().numpy().astype(np.float64) for layer in linear),
    )


def _network(inputs: int, hidden: int, outputs: int) -> torch.nn.Sequential:
    from torch import nn  # noqa: PLC0415 - see _fit

    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, outputs)
    )


def _rate(step: int, total: int, warm_up: int) -> float:
    """Factor of the peak rate: a ramp, then half a cosine."""
    return min((step + 1) / warm_up, 0.5 * (1.0 + float(np.cos(np.pi * min(step / total, 1.0)))))


def _epoch(network: Any, data: tuple[Any, Any], optimiser: Any, schedule: Any, batch: int) -> None:  # noqa: ANN401 - torch objects
    import torch  # noqa: PLC0415 - see _fit

    inputs, targets = data
    order = torch.randperm(len(inputs))
    for first in range(0, len(inputs) - batch + 1, batch):
        chosen = order[first : first + batch]
        loss = torch.nn.functional.mse_loss(network(inputs[chosen]), targets[chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
