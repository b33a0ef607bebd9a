"""What the clinic knows about a patient that rules need: it comes with the input and is never guessed.

Everything may be absent. A rule that needs what is absent says so; it never assumes the harmless case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from edge_twin.flag import CtcaeVersion


class MedicineKind(StrEnum):
    """Why a medicine matters to a rule."""

    OPIOID = "opioid"
    STEROID = "steroid"
    ANTIPYRETIC = "antipyretic"
    QT_PROLONGING = "qt_prolonging"
    INSULIN_OR_ANTIDIABETIC = "insulin_or_antidiabetic"
    TOCILIZUMAB = "tocilizumab"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Medicine:
    """A supportive medicine; what the disease model simulates is a :class:`~edge_twin.contract.Dose`.

    Attributes:
        name: lower-case generic name.
        kind: see :class:`MedicineKind`.
        start: first (or only) time it was taken, aware UTC.
        end: last time it was taken; None while it is still taken.
    """

    name: str
    kind: MedicineKind
    start: datetime
    end: datetime | None = None

    def is_taken(self, moment: datetime) -> bool:
        """Whether the medicine is being taken at ``moment``."""
        return self.acts(moment, timedelta(0))

    def acts(self, moment: datetime, within: timedelta) -> bool:
        """Whether the medicine is being taken at ``moment`` or was last taken ``within`` a time before it."""
        return self.start <= moment and (self.end is None or moment - self.end <= within)


@dataclass(frozen=True, slots=True)
class LaboratoryRange:
    """Reference range of the laboratory that measures this patient.

    Attributes:
        code: short name of the observation's code.
        low: lower limit, in the code's unit; None when the laboratory gave none.
        high: upper limit likewise.
    """

    code: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class CareContext:
    """Facts that a clinician or the care plan states; None or empty means not known.

    Attributes:
        ctcae_version: the version that the site grades with.
        medicines: supportive medicines.
        cell_therapy: times of infusions of CAR-T cells or first doses of a T-cell engager, aware UTC.
        saturation_target_88_92: a clinician set this target (hypercapnic respiratory failure): NEWS2 scale 2.
        laboratory_ranges: reference ranges of the patient's laboratory.
        age_years: for the adult scores.
        pregnant: NEWS2 is not for pregnancy.
        diabetes: known diabetes.
        usual_stools_per_day: before treatment, for the comparison with today.
        symptoms_before: scores of the diary before treatment, as pairs of code name and score.
        medicines_complete: a clinician states that ``medicines`` leaves none out; without it a medicine that is
            not listed is not known, rather than not taken.
        values_before: laboratory values and QTc before treatment, as pairs of code name and value in its unit.
        male, opioid_naive, sleep_disordered_breathing, heart_failure: items of the PRODIGY score.
        markers_since: start of the treatment, or of the pause, within which tumour markers and lesions are compared;
            None when it is not known, and then all values on record are.
    """

    ctcae_version: CtcaeVersion = CtcaeVersion.V5
    medicines: tuple[Medicine, ...] = ()
    cell_therapy: tuple[datetime, ...] = ()
    saturation_target_88_92: bool = False
    laboratory_ranges: tuple[LaboratoryRange, ...] = ()
    age_years: float | None = None
    pregnant: bool | None = None
    diabetes: bool | None = None
    usual_stools_per_day: float | None = None
    symptoms_before: tuple[tuple[str, float], ...] = ()
    medicines_complete: bool = False
    values_before: tuple[tuple[str, float], ...] = ()
    male: bool | None = None
    opioid_naive: bool | None = None
    sleep_disordered_breathing: bool | None = None
    heart_failure: bool | None = None
    markers_since: datetime | None = None

    def taken(self, kind: MedicineKind, moment: datetime) -> tuple[Medicine, ...]:
        """Medicines of a kind that are being taken at ``moment``."""
        return tuple(m for m in self.medicines if m.kind is kind and m.is_taken(moment))

    def acting(self, kind: MedicineKind, moment: datetime, within: timedelta) -> tuple[Medicine, ...]:
        """Medicines of a kind that are being taken at ``moment`` or were last taken ``within`` a time before it."""
        return tuple(m for m in self.medicines if m.kind is kind and m.acts(moment, within))

    def is_excluded(self, kind: MedicineKind, moment: datetime, within: timedelta = timedelta(0)) -> bool:
        """Whether it is known that no medicine of this kind is taken, nor was ``within`` the time before.

        False when it is only not recorded.
        """
        return self.medicines_complete and not self.acting(kind, moment, within)

    def value_before(self, code: str) -> float | None:
        """The value of a code before treatment, or None when it is not known."""
        return dict(self.values_before).get(code)

    def laboratory_range(self, code: str) -> LaboratoryRange | None:
        """The reference range of a code, or None when the laboratory gave none."""
        return next((known for known in self.laboratory_ranges if known.code == code), None)
