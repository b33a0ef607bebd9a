"""The text of the reduced field's model card, from the values of its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def card(manifest: Mapping[str, Any]) -> str:
    """Markdown with what a clinician or an auditor needs to judge the reduced field."""
    field, limits = manifest["field"], manifest["field"]["envelope"]
    geometry = " × ".join(str(side) for side in field["shape"][0])
    parts = [_PURPOSE, _TEACHER, _rows(manifest), _LIMITS.format(geometry=geometry, **field, **limits)]
    if manifest["certificate"]:
        parts.append(_CERTIFICATE.format(**manifest["certificate"], **field["conformal"]))
    return "\n".join([*parts, _FAILURES])


def _rows(manifest: Mapping[str, Any]) -> str:
    head = "## Parameters\n\n| parameter | unit | typical | ω² of the log [A] | box [A] | source |\n" + "|---" * 6 + "|"
    rows = [
        f"| {row['name']} | {row['unit']} | {row['prior']['typical']} [{row['mark']}] | {row['prior']['omega2']} "
        f"| {row['low']} – {row['high']} | {row['source']} |"
        for row in manifest["parameters"]
    ]
    fixed = [
        f"| {row['name']} | {row['unit']} | {row['value']} [{row['mark']}] | – | – | {row['source']} |"
        for row in manifest["fixed"]
    ]
    return "\n".join([head, *rows, *fixed, ""])


_PURPOSE = """# Model card: tumour cellularity in a synthetic brain

## Purpose and intended use

**A building block. No shipped program uses it, and it must not be used for a patient**: its geometry is synthetic,
and a reduced field belongs to one geometry. It shows and tests how an imaging twin's bundle is made and run.
"""

_TEACHER = """## Teacher and method

Reaction-diffusion with logistic growth, linear-quadratic fractions of radiotherapy and the kill of temozolomide; no
flux through the edge of the brain (equation: TumorTwin, arXiv 2505.00670). Fields over a box of parameters, starts
and treatments are decomposed into orthonormal modes (POD), and the equation is projected on them (Galerkin). The
logistic term is quadratic, so its reduced tensor is exact; radiation and drug scale the field, so their projection is
exact.
"""

_LIMITS = """## Validity envelope

The box above; starts like one smooth ellipsoid at one place, 12 to 20 mm across; up to {max_fractions} equal
fractions of at most {max_fraction_gy:g} Gy, one a day; at most one daily dose of 135 mg; 84 days. A start that the
modes cannot represent (relative L2 residual above {max_residual:g} [A]) is refused as `map_outside_basis`; a state
unlike those of the training (Mahalanobis distance of its shape, norm) is refused as `state_outside_envelope`.
{modes} modes on {stored_voxels} of the voxels of a grid of {geometry}. The residual log-sd of a measured total is
assumed (0.2).
"""

_CERTIFICATE = """## Measured error

{runs} fresh teacher runs inside the box, {refused_share:.1%} of them refused by the guard. Quantiles over members and
report days:

| quantity | p50 | p95 | p99 | max | 95 % band | coverage |
|---|---|---|---|---|---|---|
| field, relative L2 | {field_l2_p50:.2g} | {field_l2_p95:.2g} | {field_l2_p99:.2g} \
| {field_l2_max:.2g} | – | – |
| total cellularity, absolute log error | {log_cellularity_p50:.2g} | {log_cellularity_p95:.2g} \
| {log_cellularity_p99:.2g} | {log_cellularity_max:.2g} | ± {log_cellularity:.2g} | {cellularity_coverage_95:.1%} |
| volume at or above {threshold:g}, mm³ | {volume_mm3_p50:g} | {volume_mm3_p95:g} | {volume_mm3_p99:g} \
| {volume_mm3_max:g} | ± {volume_mm3:g} | {volume_coverage_95:.1%} |

The largest volume was {largest_volume_mm3:g} mm³; one voxel is 8 mm³. The bands are simultaneous over the report days,
student against teacher, not teacher against patient.
"""

_FAILURES = """## Known failures and limits

- **Not validated on measured patients**; no image was used.
- Volumes jump by whole voxels, and a whole shell of them can sit at the threshold: the largest volume error is many
  times the usual one. The coverage of the volume band may exceed its level for the same reason (ties).
- Truncation makes slightly negative cellularity beside the tumour. It is not clipped: clipping changes the total.
- A tumour at another place, a second tumour, or a resected one is not representable.
- Grey matter is taken to diffuse at one fifth of white matter [U]; the dose is the same in the whole tumour [A].
"""
