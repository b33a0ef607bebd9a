"""The errors of the adapters, below :class:`edge_twin.errors.EdgeTwinError`.

AdapterError
├── DecodeError      a frame that does not follow its characteristic's layout
├── FhirError        a document that is not FHIR at all
├── RecordingError   a recording file with a malformed row
└── VendorMapError   a description of a vendor's characteristic that cannot be trusted
"""

from __future__ import annotations

from edge_twin.errors import EdgeTwinError


class AdapterError(EdgeTwinError):
    """A device, document or recording that cannot be used as asked."""


class DecodeError(AdapterError):
    """A frame that cannot be decoded; nothing of it was used.

    Args:
        message: one sentence for a person.
        reason: a short, stable, snake_case word for counters and tests.
        offset: index of the first byte of the field that is wrong.
    """

    def __init__(self, message: str, *, reason: str, offset: int) -> None:
        super().__init__(message, reason=reason)
        self.offset = offset


class FhirError(AdapterError):
    """A document that is not JSON, or is JSON but no FHIR resource."""


class RecordingError(AdapterError):
    """A recording file that cannot be read; the message names the line."""


class VendorMapError(AdapterError):
    """A vendor map that is malformed, or names a unit, code or characteristic that it may not."""
