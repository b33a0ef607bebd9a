"""The text of a course student's model card, from the same values that the manifest holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_twin.student import Student
from edge_twin_models.teacher import TeacherParameter

_NAMES = {"envelope": "uniform over the envelope", "population": "prior population, doses and intervals as above"}


@dataclass(frozen=True, slots=True)
class CardTexts:
    """What differs between the cards.

    Attributes:
        purpose: title, intended use, teacher and method.
        units: of the box, in its order.
        kill: the bound of the kill in words.
        courses: which courses are represented.
        limits: known failures.
    """

    purpose: str
    units: str
    kill: str
    courses: str
    limits: str


def card(
    certificates: Mapping[str, Mapping[str, float | int]],
    student: Student,
    parameters: Sequence[TeacherParameter],
    box: Mapping[str, tuple[float, float]],
    texts: CardTexts,
) -> str:
    """Markdown with what a clinician or an auditor needs to judge the student.

    Args:
        certificates: measured errors by sample.
        student: what is shipped.
        parameters: of the teacher.
        box: bounds by name.
        texts: of the teacher.
    """
    return "\n".join(
        (texts.purpose, _parameters(parameters), _envelope(box, texts), _errors(certificates, student), texts.limits)
    )


def _parameters(parameters: Sequence[TeacherParameter]) -> str:
    rows = [
        f"| {p.name} | {p.unit} | {p.typical} [{p.mark}] | {p.omega2 or 'none known, 0 used [A]'} |" for p in parameters
    ]
    first = parameters[0]
    columns = f"| parameter | unit | typical | ω² of the log [{first.omega2_mark}] |\n|---|---|---|---|"
    spread = "" if first.omega2_mark == first.mark else f" Variances: {first.omega2_source}."
    head = f"## Parameters\n\nRow: {first.source}.{spread}\n\n{columns}"
    return "\n".join([head, *rows, ""])


def _envelope(box: Mapping[str, tuple[float, float]], texts: CardTexts) -> str:
    bounds = "; ".join(f"{name} {low:g} – {high:g}" for name, (low, high) in box.items())
    return (
        f"## Validity envelope [A]\n\n{bounds} ({texts.units}); {texts.kill}; Mahalanobis distance within the 99 % "
        f"quantile of the training design. {texts.courses} Outside, the student refuses and the mechanistic engine "
        "answers and says so.\n"
    )


def _errors(certificates: Mapping[str, Mapping[str, float | int]], student: Student) -> str:
    head = (
        f"## Measured error\n\n{student.parameters} parameters. Simultaneous 95 % split-conformal half-width of "
        f"ln(count/baseline + {student.floor:g}): {student.log_half_width:.4f} (student against teacher, not teacher "
        "against patient). Nadir errors are relative to max(nadir, 0.5·10⁹/L).\n\n"
        "| sample | runs | curve median / p95 / p99 / max | nadir median / p95 / p99 / max | coverage |\n"
        "|---|---|---|---|---|\n"
    )
    rows = [
        f"| {_NAMES[name]} | {c['runs']} | {c['curve_median']} / {c['curve_p95']} / {c['curve_p99']} / "
        f"{c['curve_max']} "
        f"| {c['nadir_median']} / {c['nadir_p95']} / {c['nadir_p99']} / {c['nadir_max']} | {c['coverage']} |"
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

NEUTROPENIA_TEXTS = CardTexts(
    purpose=_PURPOSE,
    units="10⁹/L, h, L/µmol, –, mg, d",
    kill="slope · dose up to 8000 L·mg/µmol",
    courses="Up to six equal one-hour infusions at equal intervals, 180 days; a shorter course only until its next "
    "dose would be due.",
    limits=_LIMITS,
)

_AML_PURPOSE = """# Model card: leukocytes over three equal cycles of cytarabine in AML

## Intended use

A fast stand-in for the Jost model of `aml` when many members have to be rehearsed over a whole consolidation. It
informs a discussion between a patient and the treating team; it recommends no dose.

## Teacher and method

Two-compartment cytarabine pharmacokinetics [A] and Jost et al., PLOS One 2019;14:e0204540, variant M3 without G-CSF,
integrated with the exact concentration within each step. Curves are aligned with the doses (warped time; the five days
of dosing keep calendar time), decomposed into orthogonal modes, and a SiLU network gives the coefficients. The effect
is slope·ln(1 + C): slope and dose are inputs of their own. The baseline is a factor, as in the teacher.
"""

_AML_LIMITS = """## Known failures and limits

- No measured patient was used, neither for training nor for the certificate: errors are against the teacher alone.
- Every between-patient variance and the pharmacokinetics of the teacher are assumed.
- Counts far below 1 % of the baseline are not resolved: the floor makes them read as about zero.
- Changed doses, delays, skipped cycles, other splits of a cycle, other infusion lengths and G-CSF are not represented:
  such a schedule is refused.
- Largest errors stand where the kill is largest: the steep recovery after a deep nadir moves by hours.
"""

AML_TEXTS = CardTexts(
    purpose=_AML_PURPOSE,
    units="10⁹/L, 1/d, –, –, mg, d",
    kill="ktr · slope · dose^0.45 up to e⁵ (a cycle takes at most about e⁻¹⁴ of the proliferating cells)",
    courses="Up to three equal cycles of six three-hour infusions (0, 12, 48, 60, 96 and 108 h after the start) at "
    "equal intervals, 120 days; a shorter course only until its next cycle would be due.",
    limits=_AML_LIMITS,
)
