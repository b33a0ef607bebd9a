"""The text of the course student's model card, from the same values that the manifest holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge_twin.student import Student
from edge_twin_models.teacher import TeacherParameter

_NAMES = {"envelope": "uniform over the envelope", "population": "prior population, doses and intervals as above"}


def card(
    certificates: Mapping[str, Mapping[str, float | int]],
    student: Student,
    parameters: Sequence[TeacherParameter],
    box: Mapping[str, tuple[float, float]],
    max_slope_dose: float,
) -> str:
    """Markdown with what a clinician or an auditor needs to judge the student.

    Args:
        certificates: measured errors by sample.
        student: what is shipped.
        parameters: of the teacher.
        box: bounds by name.
        max_slope_dose: bound of the product, L·mg/µmol.
    """
    return "\n".join(
        (_PURPOSE, _parameters(parameters), _envelope(box, max_slope_dose), _errors(certificates, student), _LIMITS)
    )


def _parameters(parameters: Sequence[TeacherParameter]) -> str:
    rows = [
        f"| {p.name} | {p.unit} | {p.typical} [{p.mark}] | {p.omega2 or 'none known, 0 used [A]'} |" for p in parameters
    ]
    columns = "| parameter | unit | typical | ω² of the log [P] |\n|---|---|---|---|"
    head = f"## Parameters\n\nRow: {parameters[0].source}.\n\n{columns}"
    return "\n".join([head, *rows, ""])


def _envelope(box: Mapping[str, tuple[float, float]], max_slope_dose: float) -> str:
    bounds = "; ".join(f"{name} {low:g} – {high:g}" for name, (low, high) in box.items())
    return (
        f"## Validity envelope [A]\n\n{bounds} (10⁹/L, h, L/µmol, –, mg, d); slope · dose up to {max_slope_dose:g} "
        "L·mg/µmol; Mahalanobis distance within the 99 % quantile of the training design. Up to six equal one-hour "
        "infusions at equal intervals, 180 days; a shorter course only until its next dose would be due. Outside, "
        "the student refuses and the mechanistic engine answers and says so.\n"
    )


def _errors(certificates: Mapping[str, Mapping[str, float | int]], student: Student) -> str:
    head = (
        f"## Measured error\n\n{student.parameters} parameters. Simultaneous 95 % split-conformal half-width of "
        f"ln(count/baseline + {student.floor:g}): {student.log_half_width:.4f} (student against teacher, not teacher "
        "against patient). Nadir errors are relative to max(nadir, 0.5·10⁹/L).\n\n"
        "| sample | runs | curve median / p95 / p99 / max | nadir p95 / max | coverage |\n|---|---|---|---|---|\n"
    )
    rows = [
        f"| {_NAMES[name]} | {c['runs']} | {c['curve_median']} / {c['curve_p95']} / {c['curve_p99']} / "
        f"{c['curve_max']} "
        f"| {c['nadir_p95']} / {c['nadir_max']} | {c['coverage']} |"
        for name, c in certificates.items()
    ]
    return head + "\n".join(rows) + "\n"


_PURPOSE = """# Model card: neutrophils over six equal cycles of docetaxel

## Intended use

A fast stand-in for the Friberg model of `neutropenia` when many members have to be rehearsed over a whole course. It
informs a discussion between a patient and the oncology team; it recommends no dose.

## Teacher and method

Three-compartment docetaxel pharmacokinetics and the Friberg model (J Clin Oncol 2002;20:4713-21), integrated in log
space with the exact exposure of each step. Curves are aligned with the doses (warped time), decomposed into orthogonal
modes, and a SiLU network gives the coefficients. Slope and dose enter as their product and the baseline as a
factor, as in the teacher.
"""

_LIMITS = """## Known failures and limits

- No measured patient was used, neither for training nor for the certificate: errors are against the teacher alone.
- Counts far below 1 % of the baseline are not resolved: the floor makes them read as about zero.
- Changed doses, delays, skipped cycles, other infusion lengths and G-CSF are not represented: such a schedule is
  refused.
- Largest errors stand at the corners of the envelope (high slope and dose, short transit time).
"""
