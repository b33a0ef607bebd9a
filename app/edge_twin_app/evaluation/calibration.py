"""Calibration of probabilities and intervals: Brier score and its parts, expected calibration error, coverage.

Bins are of equal mass: pairs ordered by probability, ``BINS`` of them, equal probabilities always in one bin, so the
order of the pairs does not matter and a probability that takes few values fills few bins. Everything is bootstrapped by
subject, bins included, since the days of one subject are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge_twin_app.errors import AppError

BINS = 15
RESAMPLES = 1000
LEVELS = (0.5, 0.8, 0.95)
MEASURES = ("ece", "brier", "reliability", "resolution", "uncertainty", "within_bins")
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Probabilities said and whether it happened.

    Attributes:
        name: of the probability.
        probability: said beforehand [n], 0..1.
        happened: 0 or 1 [n].
        subject: whom each pair belongs to [n]; pairs of one subject are resampled together.

    Raises:
        AppError: ``bad_pairs`` - no pair, lengths that differ, a probability outside 0..1, an outcome not 0 or 1.
    """

    name: str
    probability: Floats
    happened: Floats
    subject: NDArray[np.str_]

    def __post_init__(self) -> None:
        shapes = {self.probability.shape, self.happened.shape, self.subject.shape}
        inside = np.all((self.probability >= 0) & (self.probability <= 1)) and np.all(np.isin(self.happened, (0, 1)))
        if len(shapes) != 1 or self.probability.size == 0 or not inside:
            raise AppError(f"{self.name}: not pairs of a probability and an outcome", reason="bad_pairs")

    @cached_property
    def _values(self) -> tuple[Floats, Integers]:
        """Distinct probabilities, ascending, and which of them each pair has [n]."""
        values, place = np.unique(self.probability, return_inverse=True)
        return values, place.astype(np.int64)

    @cached_property
    def _subjects(self) -> tuple[int, Integers]:
        """How many subjects, and the number of each pair's [n]."""
        names, place = np.unique(self.subject, return_inverse=True)
        return names.size, place.astype(np.int64)

    @property
    def subjects(self) -> int:
        """Distinct ones."""
        return self._subjects[0]

    def bins(self, weights: Floats | None = None) -> Bins:
        """The pairs in bins of equal mass.

        Args:
            weights: how often each pair counts [n]; once without them.
        """
        values, place = self._values
        counted = np.ones(self.probability.size) if weights is None else weights
        mass = _sums(place, counted, values.size)
        events = _sums(place, counted * self.happened, values.size)
        number = _bin_of(mass)
        parts = (mass, mass * values, mass * values**2, events, values * events)
        sums = np.array([_sums(number, part, BINS) for part in parts])
        return Bins(*sums[:, sums[0] > 0])

    def places(self) -> Integers:
        """Which of ``bins()`` each pair is in [n]."""
        values, place = self._values
        number = _bin_of(_sums(place, np.ones(place.size), values.size))
        _, compact = np.unique(number[place], return_inverse=True)
        return compact.astype(np.int64)

    def resampled(self, number: int, seed: int) -> list[Bins]:
        """Bins of so many bootstrap resamples of the subjects."""
        count, place = self._subjects
        random = np.random.default_rng(seed)
        even = np.full(count, 1 / count)
        return [self.bins(random.multinomial(count, even)[place].astype(np.float64)) for _ in range(number)]

    def with_outcomes_drawn(self, seed: int, *, together: bool) -> Pairs:
        """The same probabilities with outcomes drawn from them: what perfect calibration looks like.

        Args:
            seed: of the draws.
            together: one draw for all pairs of a subject, the closest that they can depend on each other; else one for
                each pair.
        """
        count, place = self._subjects
        random = np.random.default_rng(seed)
        draws = random.random(count)[place] if together else random.random(self.probability.size)
        return Pairs(self.name, self.probability, (draws < self.probability).astype(np.float64), self.subject)


@dataclass(frozen=True, eq=False)
class Bins:
    """Sums over the pairs of each bin that holds any [bins].

    Attributes:
        pairs: in the bin.
        said, said_squared: sums of the probabilities and of their squares.
        happened: events.
        joint: sum of the probabilities of the events.
    """

    pairs: Floats
    said: Floats
    said_squared: Floats
    happened: Floats
    joint: Floats

    @property
    def mean_said(self) -> Floats:
        """Mean probability [bins]."""
        return self.said / self.pairs

    @property
    def share(self) -> Floats:
        """Share that happened [bins]."""
        return self.happened / self.pairs

    def measures(self) -> dict[str, float]:
        """``MEASURES``; brier = reliability - resolution + uncertainty + within_bins, exactly.

        ``within_bins`` is what the probabilities vary inside bins: their variance less twice their covariance with the
        outcome (Stephenson, Coelho and Jolliffe 2008, Weather and Forecasting 23:752).
        """
        total = float(self.pairs.sum())
        base = float(self.happened.sum()) / total
        gap, weight = self.mean_said - self.share, self.pairs / total
        variance = float((self.said_squared - self.said * self.mean_said).sum()) / total
        covariance = float((self.joint - self.said * self.share).sum()) / total
        return {
            "ece": float(weight @ np.abs(gap)),
            "brier": float((self.said_squared - 2 * self.joint + self.happened).sum()) / total,
            "reliability": float(weight @ gap**2),
            "resolution": float(weight @ (self.share - base) ** 2),
            "uncertainty": base * (1 - base),
            "within_bins": variance - 2 * covariance,
        }


def _sums(place: Integers, parts: Floats, size: int) -> Floats:
    """Sum of the parts at each place [size]."""
    return np.bincount(place, parts, minlength=size).astype(np.float64)


def _bin_of(mass: Floats) -> Integers:
    """Bin of each distinct probability: where the middle of its mass lies among all."""
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    number: Integers = np.minimum((middle * BINS).astype(np.int64), BINS - 1)
    return number


def summary(pairs: Pairs, seed: int = 1, resamples: int = RESAMPLES) -> dict[str, float | int | str]:
    """One row of a report: ``MEASURES`` with 95 % bootstrap intervals over subjects.

    A finite sample has an ECE above 0 even when the probabilities are right. ``ece_chance`` is the 95th percentile of
    that for pairs independent of each other, ``ece_chance_dependent`` for pairs of a subject that depend on each other
    as much as they can: an ECE below the first is no sign of bad calibration, one above the second is.
    """
    found = pairs.bins().measures()
    drawn = [bins.measures() for bins in pairs.resampled(resamples, seed)]
    row: dict[str, float | int | str] = {
        "probability": pairs.name,
        "pairs": pairs.probability.size,
        "subjects": pairs.subjects,
        "events": int(pairs.happened.sum()),
        "mean_probability": float(pairs.probability.mean()),
        "share_happened": float(pairs.happened.mean()),
    }
    for name in MEASURES:
        low, high = np.quantile([measures[name] for measures in drawn], (0.025, 0.975))
        row |= {name: found[name], f"{name}_low": float(low), f"{name}_high": float(high)}
    return row | {
        "ece_chance": _chance(pairs, seed, resamples, together=False),
        "ece_chance_dependent": _chance(pairs, seed, resamples, together=True),
    }


def _chance(pairs: Pairs, seed: int, resamples: int, *, together: bool) -> float:
    drawn = (pairs.with_outcomes_drawn(seed + 1 + n, together=together) for n in range(resamples // 5))
    return float(np.quantile([one.bins().measures()["ece"] for one in drawn], 0.95))


def reliability_table(pairs: Pairs, seed: int = 1, resamples: int = RESAMPLES) -> list[dict[str, float]]:
    """One row for each bin: pairs, mean probability, share that happened with its 95 % interval over subjects."""
    bins = pairs.bins()
    shares = _resampled_shares(pairs, bins.pairs.size, (resamples, seed))
    low, high = np.nanquantile(shares, (0.025, 0.975), axis=0)
    columns = (bins.pairs, bins.mean_said, bins.share, low, high)
    names = ("pairs", "mean_probability", "share_happened", "share_low", "share_high")
    return [dict(zip(names, row, strict=True)) for row in np.array(columns).T.tolist()]


def _resampled_shares(pairs: Pairs, bins: int, draws: tuple[int, int]) -> Floats:
    """Share that happened in bins that stay where they are [resamples, bins]; NaN where a resample leaves one empty."""
    names, subject = np.unique(pairs.subject, return_inverse=True)
    cells = subject * bins + pairs.places()
    count, events = (
        _sums(cells, parts, names.size * bins).reshape(names.size, bins)
        for parts in (np.ones(cells.size), pairs.happened)
    )
    weights = np.random.default_rng(draws[1]).multinomial(names.size, np.full(names.size, 1 / names.size), draws[0])
    mass = weights @ count
    shares: Floats = np.where(mass > 0, (weights @ events) / np.maximum(mass, 1), np.nan)
    return shares


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where truths lie in their forecasts, for the coverage of central intervals.

    Attributes:
        name: of the forecast.
        rank: share of the forecast's mass below the truth [n], 0..1; uniform when the forecast is right.
        subject: whom each belongs to [n].
    """

    name: str
    rank: Floats
    subject: NDArray[np.str_]


def coverage(ranks: Ranks, seed: int = 1, resamples: int = RESAMPLES) -> dict[str, float | int | str]:
    """Share of truths inside the central intervals of ``LEVELS``, with 95 % bootstrap intervals over subjects.

    Raises:
        AppError: ``bad_pairs`` - nothing to count or a rank outside 0..1.
    """
    if ranks.rank.size == 0 or ranks.rank.shape != ranks.subject.shape or not np.all(np.abs(ranks.rank - 0.5) <= 0.5):  # noqa: PLR2004 - half of the unit interval
        raise AppError(f"{ranks.name}: no ranks between 0 and 1", reason="bad_pairs")
    names, subject = np.unique(ranks.subject, return_inverse=True)
    weights = np.random.default_rng(seed).multinomial(names.size, np.full(names.size, 1 / names.size), resamples)
    sizes = np.bincount(subject, minlength=names.size)
    row: dict[str, float | int | str] = {
        "forecast": ranks.name, "truths": ranks.rank.size, "subjects": names.size,
    }  # fmt: skip
    for level in LEVELS:
        inside = (np.abs(ranks.rank - 0.5) <= level / 2).astype(np.float64)
        drawn = (weights @ np.bincount(subject, inside, minlength=names.size)) / (weights @ sizes)
        low, high = np.quantile(drawn, (0.025, 0.975))
        key = f"coverage_{level * 100:.0f}"
        row |= {key: float(inside.mean()), f"{key}_low": float(low), f"{key}_high": float(high)}
    return row


def below_levels(name: str, values: Floats, levels: Sequence[float]) -> dict[str, float | int | str]:
    """Share of p-values at or below each level; close to the level itself when they are uniform."""
    shares = {f"share_at_most_{level:g}".replace(".", "_"): float(np.mean(values <= level)) for level in levels}
    return {"p_value": name, "values": values.size, **shares}
