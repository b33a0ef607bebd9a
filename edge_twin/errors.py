"""The error tree of edge_twin.

Every error that a caller can meet derives from :class:`EdgeTwinError`, and each carries a short
machine-readable ``reason`` so that refusals can be counted without parsing sentences:

    EdgeTwinError
    ├── ObservationError   a value, unit, time or code that cannot be an observation
    ├── CaseError          a case file that cannot be read
    ├── StateError         a saved patient state that cannot be restored
    ├── StoreError         the database on the device
    ├── BundleError        a reduced model that cannot be trusted or run
    ├── ProgramError       a disease program that is not well formed
    ├── CareError          facts of the clinic that cannot be read
    ├── CriteriaError      a table of criteria that is not well formed, or asked for what it does not hold
    ├── DetectionError     days, settings or a saved state that the detector cannot take
    ├── FlagError          a flag that states what it must not
    ├── KineticsError      a series from which no growth can be computed
    ├── LedgerError        a chain of promises that does not hold, or an entry that it refuses
    ├── LifeError          an act on a flag that its life cycle refuses
    ├── SurveyError        a questionnaire, its content pack or its answers, that cannot be used
    ├── TrustError         a grant of trust that does not count
    └── WordingError       a catalogue of sentences that cannot be read
"""

from __future__ import annotations


class EdgeTwinError(Exception):
    """Base of all errors raised on purpose by edge_twin and its rooms.

    Args:
        message: one sentence for a person.
        reason: a short, stable, snake_case word for counters and tests.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ObservationError(EdgeTwinError):
    """A value, unit, time or code that cannot be an observation."""


class CaseError(EdgeTwinError):
    """A case file that cannot be read or does not fit its schema."""


class StateError(EdgeTwinError):
    """A saved patient state that cannot be restored or belongs to another model."""


class StoreError(EdgeTwinError):
    """The store on the device cannot do what was asked."""


class BundleError(EdgeTwinError):
    """A reduced model that cannot be trusted, loaded or run."""


class ProgramError(EdgeTwinError):
    """A disease program that is not well formed."""


class CareError(EdgeTwinError):
    """Facts that the clinic states about a patient and that cannot be read."""


class CriteriaError(EdgeTwinError):
    """A table of criteria that is not well formed, or that is asked for a term, version or unit it does not hold."""


class DetectionError(EdgeTwinError):
    """Days, settings or a saved state that the detector of changes cannot take."""


class FlagError(EdgeTwinError):
    """A flag that states what it must not, such as a grade without the version of its criteria."""


class KineticsError(EdgeTwinError):
    """A series from which no growth can be computed."""


class LifeError(EdgeTwinError):
    """An act on a flag that its life cycle refuses, such as a snooze of what needs a call now."""


class SurveyError(EdgeTwinError):
    """A questionnaire, its content pack or its answers, that cannot be used."""


class WordingError(EdgeTwinError):
    """A catalogue of sentences that cannot be read."""


class LedgerError(EdgeTwinError):
    """A chain of promises that does not hold, or an entry that it refuses."""


class TrustError(EdgeTwinError):
    """A grant of trust that does not count."""
