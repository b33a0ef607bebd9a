"""The text of a cycle operator's model card, from the same values that the manifest holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CycleCardTexts:
    """What differs between the cards.

    Attributes:
        purpose: title, intended use, teacher.
        limits: what it is and where it holds; ``{learned}``, ``{kill}`` and the dose envelope are filled in.
    """

    purpose: str
    limits: str


def card(manifest: Mapping[str, Any], texts: CycleCardTexts, kill: float) -> str:
    """Markdown with what a clinician or an auditor needs.

    Args:
        manifest: of the bundle.
        texts: of the teacher.
        kill: bound of the design.
    """
    lines = [
        texts.purpose,
        "## Parameters\n",
        "| parameter | unit | typical | ω² | envelope [A] | source |",
        "|---" * 6 + "|",
        *(_parameter(row) for row in manifest["parameters"]),
    ]
    learned = manifest["cycle_operator"]["learned_values"]
    limits = texts.limits.format(learned=learned, kill=kill, **manifest["dose_envelope"])
    return "\n".join([*lines, f"\n{limits}", "## Certificate\n", *_certificate(manifest["certificate"])]) + "\n"


def _parameter(row: Mapping[str, Any]) -> str:
    prior = row["prior"]
    spread = f" [{row['omega2_mark']}]" if "omega2_mark" in row else ""
    cells = (
        row["name"],
        row["unit"],
        f"{prior['typical']} [{row['mark']}]",
        f"{prior['omega2']}{spread}" if prior["omega2"] else "none known, 0 [A]",
    )
    return f"| {' | '.join(map(str, cells))} | {row['low']} – {row['high']} | {row['source']} |"


def _certificate(certificate: Mapping[str, Any]) -> list[str]:
    if not certificate:
        return []
    rows = [
        f"| {row['cycles']} | {row['roll_outs']} | {row['nadir_median']:.2g} | {row['nadir_p95']:.2g} | "
        f"{row['nadir_p99']:.2g} | {row['nadir_max']:.2g} | {100 * row['coverage']:.1f} % |"
        for row in certificate["by_cycles"]
    ]
    head = "| cycles | roll-outs | nadir error median | p95 | p99 | max | band covers |"
    return [_CERTIFICATE.format(**certificate), head, "|---" * 7 + "|", *rows]


_CERTIFICATE = """{roll_outs} fresh roll-outs (patients of the prior; random delays, reductions, omissions, changed
intervals). The simultaneous 95 % band covers {coverage_95:.1%} of them. 95 % of all nadirs err by at most
{nadir_p95_of_allowed:.2g} of what is allowed (2 % or 0.01 10⁹/L). Handed to the mechanistic integrator:
{handed_over_share:.1%} of the members. Errors below are relative; nadirs under 0.05 are compared with 0.05.
"""

NEUTROPENIA_TEXTS = CycleCardTexts(
    """# Neutrophils after docetaxel, cycle by cycle

## Purpose and intended use

Forecast of the absolute neutrophil count (LOINC 751-8, 10⁹/L) under any docetaxel schedule - delayed, reduced
or omitted cycles, changed intervals - as information for the treating team. It does not decide on treatment,
and it does not replace a blood count. Teacher: the Friberg model of the bundle `neutropenia`.
""",
    """## What it is, and where it holds

A network with {learned} learned values (basis included) maps the state at a dose, the parameters and the dose to
the curve after it and to the state at the next one. Envelope [A]: single doses up to {max_amount_mg:g} mg, infusions
up to {max_infusion_days:g} d, {max_amount_21_days_mg:g} mg within 21 d, at least {min_interval_days:g} d between
starts, {max_horizon_days:g} d simulated, kill ktr·slope·AUC up to about {kill:g}. Outside, and for every
member whose state leaves
the training's box or its 99.9 % Mahalanobis distance, the mechanistic integrator answers and the answer says so. Drug
left from the dose before (less than 1e-4 of it after 7 d) is neglected at the start of a cycle.

Assumed: envelope, log-normal prior with independent parameters, parameters constant over the course, no G-CSF.
Compared with its teacher in simulation only. **Not validated on measured patients.**
""",
)

AML_TEXTS = CycleCardTexts(
    """# Leukocytes after cytarabine in AML, cycle by cycle

## Purpose and intended use

Forecast of the leukocyte count (LOINC 6690-2, 10⁹/L) over consolidation cycles of cytarabine - delayed, reduced or
omitted cycles, changed intervals - as information for the treating team. It does not decide on treatment, and it does
not replace a blood count. Teacher: the Jost model M3 of the bundle `aml`.
""",
    """## What it is, and where it holds

A network with {learned} learned values (basis included) maps the state at the start of a cycle, the parameters and
the dose to the curve after it and to the state at the next one. A cycle is six infusions of {max_infusion_days:g} d
with one amount, 0, 12, 48, 60, 96 and 108 h after its start [U]; another split is computed mechanistically. Envelope
[A]: up to {max_amount_mg:g} mg in an infusion, {max_amount_21_days_mg:g} mg within 21 d, at least 14 d between starts
of cycles, {max_horizon_days:g} d simulated, kill ktr·slope·∫ln(1 + C)dt of a cycle up to about {kill:g}. Outside, and
for every member whose state leaves the training's box or its 99.9 % Mahalanobis distance, the mechanistic integrator
answers and the answer says so.

Assumed: envelope, every between-patient variance, the pharmacokinetics, a log-normal prior with independent parameters,
parameters constant over the course, no G-CSF. Compared with its teacher in simulation only. **Not validated on measured
patients.**
""",
)
