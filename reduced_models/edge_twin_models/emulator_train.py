"""Design, replicated runs and training of the emulator of a stochastic teacher."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_twin.emulator import OUTPUTS, features
from edge_twin_models.clone_teacher import HORIZON_DAYS, PARAMETERS, ResistantClone
from edge_twin_models.network import Layers
from edge_twin_models.sampling import log_bounds, unit_points

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SLICE = 4096  # replicates simulated together; it is part of what a seed gives


@dataclass(frozen=True, eq=False)
class CloneSample:
    """Points of the box.

    Attributes:
        log_parameters: [n, 6]; days: [n] horizons.
    """

    log_parameters: Floats
    days: Floats


@dataclass(frozen=True, eq=False)
class Moments:
    """What the replicates of each point say; sufficient for the Gaussian likelihood of the logarithms.

    Attributes:
        none: [n] share of replicates that are zero.
        log_mean, log_variance: [n] of the logarithms of the others (0 where there are none).
    """

    none: Floats
    log_mean: Floats
    log_variance: Floats


@dataclass(frozen=True, slots=True)
class EmulatorTraining:
    """How the network is trained: widths, passes, points of one step, largest rate, seed."""

    hidden: int = 64
    epochs: int = 500
    batch: int = 256
    rate: float = 4e-3
    warm_up: int = 100
    seed: int = 7


def clone_sample(count: int, seed: int, *, quasi: bool = True) -> CloneSample:
    """Points of the box, uniform in the logarithms of parameters and horizon."""
    first, last = np.log(HORIZON_DAYS).tolist()
    bounds = [*log_bounds(PARAMETERS), (first, last)]
    low, high = np.array(bounds).T
    points = low + (high - low) * unit_points(count, len(bounds), seed, quasi=quasi)
    return CloneSample(points[:, :-1], np.exp(points[:, -1]))


def replicate(
    teacher: ResistantClone, sample: CloneSample, count: int, seed: int, executor: Executor | None = None
) -> Integers:
    """Resistant cells [n, count] of independent replicates; they do not depend on where they are run."""
    parameters, days = np.repeat(sample.log_parameters, count, axis=0), np.repeat(sample.days, count)
    work = [
        (teacher, parameters[first : first + SLICE], days[first : first + SLICE], [seed, first])
        for first in range(0, len(days), SLICE)
    ]
    done = executor.map(_resistant, work) if executor else map(_resistant, tqdm(work, leave=False, disable=None))
    return np.concatenate(list(done)).reshape(-1, count)


def moments(resistant: Integers) -> Moments:
    """Summary of replicates [n, count]."""
    some = resistant > 0
    logs = np.log(np.maximum(resistant, 1))
    number = np.maximum(some.sum(axis=1), 1)
    mean = (logs * some).sum(axis=1) / number
    variance = (((logs - mean[:, None]) ** 2) * some).sum(axis=1) / number
    return Moments(1.0 - some.mean(axis=1), mean, variance)


def train_emulator(sample: CloneSample, found: Moments, plan: EmulatorTraining) -> Layers:
    """Proper scores by Adam, one thread: the logarithmic score of zero or not, and the Gaussian likelihood.

    The Gaussian term is averaged over the replicates of a point in closed form, ½·(ln v + (s² + (m - µ)²) / v).
    The scaling of inputs and mean is folded into the first and the last layer.
    """
    inputs = features(sample.log_parameters, sample.days).astype(np.float64)
    low, high = inputs.min(axis=0), inputs.max(axis=0)
    centre, half = 0.5 * (low + high), 0.5 * (high - low)
    weight = 1.0 - found.none
    shift = float(np.average(found.log_mean, weights=weight))
    scale = float(np.sqrt(np.average((found.log_mean - shift) ** 2, weights=weight)))
    columns = np.column_stack((found.none, (found.log_mean - shift) / scale, found.log_variance / scale**2))
    layers = _fit((inputs - centre) / half, columns, plan)
    weights, biases = list(layers.weights), list(layers.biases)
    weights[0] = weights[0] / half[:, None]
    biases[0] = biases[0] - centre @ weights[0]
    factor = np.array([1.0, scale, 1.0])
    weights[-1] = weights[-1] * factor
    biases[-1] = biases[-1] * factor + np.array([0.0, shift, 2.0 * np.log(scale)])
    return Layers(tuple(weights), tuple(biases))


def _resistant(work: tuple[ResistantClone, Floats, Floats, list[int]]) -> Integers:
    teacher, parameters, days, seed = work
    return teacher.replicates(parameters, days, seed).resistant


def _fit(inputs: Floats, columns: Floats, plan: EmulatorTraining) -> Layers:
    import torch  # noqa: PLC0415 - the distill extra, only where models are made

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(plan.seed)
    network = torch.nn.Sequential(
        torch.nn.Linear(inputs.shape[1], plan.hidden),
        torch.nn.SiLU(),
        torch.nn.Linear(plan.hidden, plan.hidden),
        torch.nn.SiLU(),
        torch.nn.Linear(plan.hidden, len(OUTPUTS)),
    )
    data = torch.tensor(inputs, dtype=torch.float32), torch.tensor(columns, dtype=torch.float32)
    _optimise(torch, network, data, plan)
    linear = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    return Layers(
        tuple(layer.weight.detach().numpy().T.astype(np.float64) for layer in linear),
        tuple(layer.bias.detach().numpy().astype(np.float64) for layer in linear),
    )


def _optimise(torch: Any, network: Any, data: tuple[Any, Any], plan: EmulatorTraining) -> None:  # noqa: ANN401 - the library is loaded by the caller
    inputs, columns = data
    optimiser = torch.optim.Adam(network.parameters(), lr=plan.rate)
    total = plan.epochs * (len(inputs) // plan.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _factor(step, total, plan.warm_up))
    order = torch.Generator().manual_seed(plan.seed)
    for _ in tqdm(range(plan.epochs), desc="emulator", leave=False, disable=None):
        shuffled = torch.randperm(len(inputs), generator=order)
        for first in range(0, len(inputs) - plan.batch + 1, plan.batch):
            chosen = shuffled[first : first + plan.batch]
            loss = _score(torch, network(inputs[chosen]), columns[chosen])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()


def _score(torch: Any, outputs: Any, columns: Any) -> Any:  # noqa: ANN401 - torch objects
    """Mean over the points of both proper scores, in nats."""
    logit, mean, log_variance = outputs.unbind(dim=1)
    none, true_mean, variance = columns.unbind(dim=1)
    atom = torch.nn.functional.softplus(logit) - none * logit
    spread = 0.5 * (log_variance + (variance + (true_mean - mean).square()) * torch.exp(-log_variance))
    return (atom + (1.0 - none) * spread).mean()


def _factor(step: int, total: int, warm_up: int) -> float:
    """Factor of the rate: a ramp, then half a cosine."""
    return min((step + 1) / warm_up, 0.5 * (1.0 + float(np.cos(np.pi * min(step / total, 1.0)))))
