"""The error tree of the sync room.

    SyncError
    ├── CodecError      bytes that are not the strict CBOR subset used here
    ├── RecordError     a record that does not fit its schema
    ├── EnvelopeError   a message, key announcement or acknowledgement that cannot be trusted or opened
    ├── KeyStoreError   key files that are missing, malformed or readable by others
    ├── OutboxError     a message that the outbox cannot take
    └── TransportError  a message that cannot be handed to the network now

Reasons of an :class:`EnvelopeError`: ``malformed``, ``truncated``, ``too_large``, ``unknown_version``,
``forged`` (signature or authentication tag does not fit), ``unknown_device``, ``revoked_device``,
``unknown_recipient``, ``unknown_epoch``, ``unknown_key``, ``topic_mismatch``, ``conflict`` (the same id
with other bytes).
"""

from __future__ import annotations

from edge_twin.errors import EdgeTwinError


class SyncError(EdgeTwinError):
    """Base of everything that sync raises on purpose."""


class CodecError(SyncError):
    """Bytes that are not the strict CBOR subset used on this wire."""


class RecordError(SyncError):
    """A record or batch that does not fit its schema."""


class EnvelopeError(SyncError):
    """A message, key announcement or acknowledgement that cannot be trusted or opened."""


class KeyStoreError(SyncError):
    """Key files that are missing, malformed or readable by others."""


class OutboxError(SyncError):
    """A message that the outbox cannot take; what the caller stored itself is untouched."""


class TransportError(SyncError):
    """A message that cannot be handed to the network now; it stays in the outbox."""
