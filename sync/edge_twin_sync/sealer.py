"""One process's right to send: identity, recipients and the epoch that it opened at its start."""

from __future__ import annotations

from datetime import datetime

from edge_twin_sync.envelope import EpochKey, Header, announce, seal
from edge_twin_sync.keys import DeviceKeys
from edge_twin_sync.streams import Stream


class Sealer:
    """Seals bodies under one epoch. Holds no counter: sequence numbers live in the database.

    Make one per process start; safe to share between threads.

    Args:
        keys: the device's keys.
        epoch_key: given only by tests that need a known epoch.
    """

    def __init__(self, keys: DeviceKeys, epoch_key: EpochKey | None = None) -> None:
        self._keys = keys
        self._key = EpochKey.generate() if epoch_key is None else epoch_key
        self._key_id = self._key.key_id
        self._stream_keys = {stream: self._key.stream_key(self.dev, stream) for stream in Stream}

    @property
    def dev(self) -> str:
        """Pseudonym of the device."""
        return self._keys.identity.dev

    @property
    def epoch(self) -> int:
        """Id of the epoch."""
        return self._key.epoch

    def seal(  # noqa: PLR0913 - the fields of a header, named at every call
        self, stream: Stream, *, seq: int, schema: int, priority: int, body: bytes, time: datetime
    ) -> bytes:
        """The finished message; errors as :func:`envelope.seal`."""
        header = Header(self.dev, self.epoch, stream, seq, time, schema, priority, self._key_id)
        return seal(header, body, self._stream_keys[stream], self._keys.identity.signing_key)

    def announcement(self, time: datetime) -> bytes:
        """The signed announcement of the epoch's key to every recipient."""
        return announce(self._keys.identity, self._key, self._keys.recipients, time)
