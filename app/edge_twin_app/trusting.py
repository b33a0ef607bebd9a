"""Grants of trust on a device: files in the site's folder are verified and entered into the ledger at each start."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge_twin.errors import TrustError
from edge_twin.ledger import Entered
from edge_twin.program import Program
from edge_twin.promises import Cover, cover_of
from edge_twin.signing import SigningKey
from edge_twin.store import Store
from edge_twin.track_record import TrackRecord, track_record
from edge_twin.trust import TYPE, SiteTrust, TrustGrant, admit, envelope
from edge_twin.trust_rules import trust_rules

_LOG = logging.getLogger(__name__)
DECIDING = (Entered.GRANT, Entered.DEMOTION)


def signed_grant(grant: TrustGrant, key: SigningKey) -> bytes:
    """The document that travels; signing needs the package ``cryptography``."""
    payload = grant.payload
    return envelope(payload, key.sign(TYPE, payload))


@dataclass(frozen=True)
class Entrance:
    """Where grants come in: a device's store and what it runs.

    Attributes:
        store: of the device.
        cover: program, its version and the bundle that runs.
        site: whose keys count.
    """

    store: Store
    cover: Cover
    site: SiteTrust

    def enter(self, document: bytes, now: datetime) -> TrustGrant:
        """Enter a grant into the ledger if it counts.

        Raises:
            TrustError: as :func:`edge_twin.trust.admit`.
        """
        ledger = self.store.ledger
        with self.store.transaction():
            grant = admit(document, ledger.entries(DECIDING), self.cover, self.site, now)
            says = {"document": document.decode(), "stage": grant.stage, "signer": grant.signer}
            ledger.append(Entered.GRANT, now, says, subject=self.cover.text)
        return grant

    def enter_all(self, folder: Path, now: datetime, note: Callable[[str], None]) -> None:
        """Enter every new grant of a folder, in the order of the file names; a refusal is logged and noted."""
        known = {str(entry.says["document"]) for entry in self.store.ledger.entries((Entered.GRANT,))}
        for file in sorted(folder.glob("*.json")):
            document = file.read_bytes()
            if document.decode("utf-8", "replace") in known:
                continue
            try:
                grant = self.enter(document, now)
                note(f"trust_granted {grant.stage} by {grant.signer}")
            except TrustError as error:
                _LOG.warning("grant %s refused: %s", file.name, error.reason)
                note(f"trust_refused {file.name}: {error.reason}")


def record_of(store: Store, program: Program, bundle: str, now: datetime, *, simulated: bool = False) -> TrackRecord:
    """What came of everything that a device has promised under this cover."""
    ledger, cover = store.ledger, cover_of(program, bundle)
    entries = list(ledger.entries())
    return track_record(entries, cover, now, trust_rules(), head=ledger.head(), simulated=simulated)
