"""``simulate``: a cohort of one of the generators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_twin_models.cohorts import autoregressive, emitting
from edge_twin_models.cohorts.parameters import Parameters, load
from edge_twin_models.cohorts.table import CohortTable, SubjectDays, joined

Draw = Callable[[np.random.Generator, str, Parameters, Parameters], SubjectDays]
_DRAWS: dict[str, Draw] = {"ar": autoregressive.draw_subject, "state": emitting.draw_subject}
GENERATORS = tuple(_DRAWS)


def simulate(generator: str, subjects: int, seed: int) -> CohortTable:
    """A cohort of this many subjects, around the onset of an infection on day 0 of each.

    Every subject has its own random stream: the first subjects of a larger cohort are those of a smaller one.

    Args:
        generator: one of ``GENERATORS``.
        subjects: how many; some are not eligible for the protocol (about one in ten).
        seed: of the cohort; the same seed gives the same bytes.

    Raises:
        ValueError: unknown generator, no subject asked for, or a negative seed.
    """
    if generator not in _DRAWS or subjects < 1 or seed < 0:
        raise ValueError(
            f"no cohort of {subjects} subjects by {generator!r} with seed {seed}; generators: {', '.join(GENERATORS)}"
        )
    parameters, further = load(generator), load("streams")
    draw = _DRAWS[generator]
    parts = [
        draw(np.random.default_rng([seed, number]), f"{generator}{number:04d}", parameters, further)
        for number in range(subjects)
    ]
    return joined(parts, generator, f"{parameters.version}+{further.version}", seed)
