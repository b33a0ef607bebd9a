"""When promises fail more often than is borne: tests that may be looked at after every outcome.

The evidence against "at most ``tolerated`` of them fail" is a mixture of likelihood ratios of failing more often. While
the hypothesis holds, its chance of ever reaching ``1 / a`` is at most ``a`` (Ville 1939), however often anybody looks.
Failures need not be independent: it suffices that the chance of the next one, given the past, is at most ``tolerated``.

Sources: J. Ville, Étude critique de la notion de collectif (1939); Ramdas et al., Statistical Science 38:576 (2023);
E. B. Wilson, J Am Stat Assoc 22:209 (1927).
"""

from __future__ import annotations

import math

_STEPS = (0.25, 0.5, 0.75)  # alternatives, on the way from the tolerated share to 1
_Z = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


def against(seen: int, failed: int, tolerated: float) -> float:
    """Evidence against "at most ``tolerated`` fail": 1 for none, above ``1 / a`` it is refuted at level ``a``.

    Args:
        seen: promises with an outcome.
        failed: of them.
        tolerated: share, between 0 and 1.
    """
    return sum(_ratio(seen, failed, tolerated, tolerated + step * (1.0 - tolerated)) for step in _STEPS) / len(_STEPS)


def _ratio(seen: int, failed: int, tolerated: float, alternative: float) -> float:
    held = seen - failed
    log = failed * math.log(alternative / tolerated) + held * math.log((1.0 - alternative) / (1.0 - tolerated))
    return math.exp(min(log, 700.0))


def is_refuted(seen: int, failed: int, tolerated: float, false_demotion: float) -> bool:
    """Whether trust has to go."""
    return against(seen, failed, tolerated) >= 1.0 / false_demotion


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share after Wilson; from 0 to 1 without trials."""
    if not trials:
        return 0.0, 1.0
    share, square = hits / trials, _Z * _Z
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    half = _Z * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials)) / (1 + square / trials)
    return max(0.0, centre - half), min(1.0, centre + half)
