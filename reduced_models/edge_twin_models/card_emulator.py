"""The text of the emulator's model card, from the values of its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def card(manifest: Mapping[str, Any]) -> str:
    """Markdown with what a clinician or an auditor needs to judge the emulator."""
    head = "## Parameters\n\n| parameter | unit | typical | ω² of the log [A] | box [A] | source |\n" + "|---" * 6 + "|"
    rows = [
        f"| {row['name']} | {row['unit']} | {row['prior']['typical']} [{row['mark']}] | {row['prior']['omega2']} "
        f"| {row['low']} – {row['high']} | {row['source']} |"
        for row in manifest["parameters"]
    ]
    parts = [_PURPOSE, head, *rows, "", _METHOD.format(**manifest["emulator"])]
    if manifest["certificate"]:
        parts.append(_CERTIFICATE.format(**manifest["certificate"]))
    return "\n".join([*parts, _FAILURES])


_PURPOSE = """# Model card: resistant cells under therapy, as a distribution

## Purpose and intended use

**A building block. No shipped program uses it, and it must not be used for a patient**: every parameter is assumed. It
shows and tests how a stochastic teacher becomes a bundle whose answer is a distribution with a chance of zero.

## Teacher

Two-type birth-death process with mutation (Luria and Delbrück 1943; Iwasa, Nowak and Michor, Genetics 2006;172:2557):
sensitive cells shrink under therapy, each of their divisions may found a resistant clone, which may die out or grow.
Every event is drawn up to 100 cells, leaps with unbiased expected numbers of events above.
"""

_METHOD = """## Method and validity envelope

A network with {learned_values} learned values gives the chance that no resistant cell is alive at the horizon, and
mean and variance of the logarithm of their number otherwise; trained by proper scores on replicated runs. The shape
of the standardised logarithm is a table of quantiles from fresh runs (split conformal). Horizon
{min_horizon_days:g} to {max_horizon_days:g} days and the box above; anything else is refused as `outside_envelope`.
"""

_CERTIFICATE = """## Measured error

{points} fresh points of the box, {replicates_per_point} fresh replicates at each.

| quantity | p50 | p95 | max |
|---|---|---|---|
| chance of zero, absolute error | {none_error_p50:.2g} | {none_error_p95:.2g} | {none_error_max:.2g} |
| mean of the logarithm, in the teacher's standard deviations | {mean_error_in_sd_p50:.2g} \
| {mean_error_in_sd_p95:.2g} | {mean_error_in_sd_max:.2g} |
| standard deviation, absolute log error | {log_sd_error_p50:.2g} | {log_sd_error_p95:.2g} | {log_sd_error_max:.2g} |

The 95 % interval covers {coverage_95:.1%} of the replicates at points whose chance of zero is below 95 % (95 % of these
points have at least {coverage_95_p05:.1%}), {coverage_95_all:.1%} over all points. Mean continuous ranked probability
score of ln(1 + cells): {crps:.4g}, the teacher's own replicates {crps_teacher:.4g} (ratio {crps_ratio:.4g}). The errors
contain the sampling error of the replicates themselves.
"""

_FAILURES = """## Known failures and limits

- **Not validated on measured patients**; every rate is assumed [A].
- The interval's level holds on average over the box, not at every point: the shape is one table for all.
- Constant therapy from day 0, no resistant cell before it, no competition for space.
- Small numbers of cells are whole numbers; the emulated quantiles are not.
"""
