"""The stochastic clone teacher against closed forms of birth-death processes and of Luria and Delbrück."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin_models.clone_teacher import PARAMETERS, Cells, ResistantClone

Floats = NDArray[np.float64]

NEVER = 1e-15
EVERY_EVENT = ResistantClone(exact_cells=10**9)
HYBRID = ResistantClone()
LEAPS = ResistantClone(exact_cells=0)


def runs(teacher: ResistantClone, row: dict[str, float], days: float, count: int, seed: int) -> Cells:
    """Replicates of one row; what is not named is as good as zero."""
    values = [row.get(parameter.name, NEVER) for parameter in PARAMETERS]
    return teacher.replicates(np.tile(np.log(values), (count, 1)), np.full(count, days), seed)


def share_error(share: float, count: int) -> float:
    """Four standard errors of a share."""
    return 4.0 * math.sqrt(share * (1.0 - share) / count)


@pytest.mark.parametrize("teacher", [EVERY_EVENT, HYBRID], ids=["events", "hybrid"])
@pytest.mark.parametrize("cells", [1, 3])
def test_a_growing_clone_dies_out_with_death_over_birth_to_the_power_of_its_size(
    teacher: ResistantClone, cells: int
) -> None:
    row, days, count = {"initial_cells": cells, "birth": 0.2, "death_to_birth": 0.5}, 30.0, 2000
    raised = math.exp(0.1 * days)
    none = 0.1 * (raised - 1.0) / (0.2 * raised - 0.1)
    assert none == pytest.approx(0.5, abs=0.02)  # day 30 is almost forever
    extinct = float((runs(teacher, row, days, count, 1).sensitive == 0).mean())
    assert extinct == pytest.approx(none**cells, abs=share_error(none**cells, count))


@pytest.mark.parametrize("teacher", [EVERY_EVENT, HYBRID, LEAPS], ids=["events", "hybrid", "leaps"])
def test_mean_variance_and_extinction_of_a_shrinking_clone(teacher: ResistantClone) -> None:
    """Kendall (1948): mean, variance and P(0) of the linear birth-death process."""
    cells, birth, death, days, count = 150, 0.15, 0.20, 40.0, 2000
    row = {"initial_cells": cells, "birth": birth, "death_to_birth": death / birth}
    found = runs(teacher, row, days, count, 2).sensitive.astype(float)
    growth = birth - death
    raised = math.exp(growth * days)
    mean = cells * raised
    variance = cells * (birth + death) / growth * raised * (raised - 1.0)
    none = (death * (raised - 1.0) / (birth * raised - death)) ** cells
    assert found.mean() == pytest.approx(mean, abs=4.0 * math.sqrt(variance / count))
    assert found.var() == pytest.approx(variance, rel=4.0 * math.sqrt(2.5 / count))
    assert (found == 0).mean() == pytest.approx(none, abs=share_error(max(none, 0.005), count))


@pytest.mark.parametrize("teacher", [HYBRID, LEAPS], ids=["hybrid", "leaps"])
def test_chance_of_no_resistant_cell_is_that_of_luria_and_delbrueck(teacher: ResistantClone) -> None:
    """Without death, n0·(exp(bt) - 1) divisions are expected: P(no mutant) = exp(-µ·divisions)."""
    cells, birth, days, mutation, count = 500, 0.1, 20.0, 3e-4, 3000
    row = {"initial_cells": cells, "birth": birth, "resistant_birth": 0.1, "mutation": mutation}
    found = runs(teacher, row, days, count, 3)
    expected = math.exp(-mutation * cells * math.expm1(birth * days))
    assert 0.2 < expected < 0.8
    assert (found.resistant == 0).mean() == pytest.approx(expected, abs=share_error(expected, count) + 0.003)


def test_mutants_are_as_many_as_expected() -> None:
    """E[R] of the linear system: n0·b·µ·(exp(g_r t) - exp(g t)) / (g_r - g), g without the mutants."""
    birth, death, resistant, lost, mutation, cells, days = 0.15, 0.2, 0.14, 0.07, 0.02, 2000, 50.0
    row = {
        "initial_cells": cells,
        "birth": birth,
        "death_to_birth": death / birth,
        "resistant_birth": resistant,
        "resistant_death_to_birth": lost / resistant,
        "mutation": mutation,
    }
    found = runs(HYBRID, row, days, 600, 4)
    growth, resistant_growth = birth * (1.0 - mutation) - death, resistant - lost
    expected = cells * birth * mutation * (math.exp(resistant_growth * days) - math.exp(growth * days))
    expected /= resistant_growth - growth
    error = 4.0 * float(found.resistant.std()) / math.sqrt(600)
    assert error < 0.1 * expected
    assert found.resistant.mean() == pytest.approx(expected, abs=error)


def test_leaps_and_events_give_the_same_distribution_of_resistant_cells() -> None:
    row = {
        "initial_cells": 300.0,
        "birth": 0.15,
        "death_to_birth": 1.3,
        "resistant_birth": 0.14,
        "resistant_death_to_birth": 0.5,
        "mutation": 3e-3,
    }
    count = 1200
    one, two = (
        np.sort(runs(teacher, row, 40.0, count, 5 + k).resistant) for k, teacher in enumerate((EVERY_EVENT, HYBRID))
    )
    values = np.unique(np.concatenate((one, two)))
    gap = np.abs(np.searchsorted(one, values, "right") - np.searchsorted(two, values, "right")).max() / count
    assert gap < 1.95 * math.sqrt(2.0 / count)  # Kolmogorov and Smirnov at 0.1 %


def test_the_same_seed_gives_the_same_cells_and_another_does_not() -> None:
    row = {"initial_cells": 50.0, "birth": 0.2, "death_to_birth": 0.5, "mutation": 0.01, "resistant_birth": 0.2}
    first, again, other = (runs(HYBRID, row, 10.0, 40, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.sensitive, again.sensitive)
    assert np.array_equal(first.resistant, again.resistant)
    assert not np.array_equal(first.sensitive, other.sensitive)


def test_the_teacher_answers_like_every_other_one() -> None:
    rows = np.log([[parameter.typical for parameter in PARAMETERS]] * 3)
    days = np.array([0.0, 30.0, 60.0])
    paths = HYBRID.run(rows, (), days)
    assert paths.shape == (3, 3)
    assert (paths[:, 0] == 0.0).all()
    assert np.array_equal(paths, HYBRID.run(rows, (), days))
    small = np.log([50.0, 0.1, 1.3, 0.1, 0.5, 0.01])
    assert HYBRID.reference(small, (), days).shape == (3,)
    with pytest.raises(BundleError) as caught:
        HYBRID.run(rows, [DoseEvent(0.0, 1.0)], days)
    assert caught.value.reason == "teacher_takes_no_doses"
