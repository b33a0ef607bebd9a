"""A hash chain of what was promised and what came: nothing can be changed, moved or taken out unseen.

Each link is BLAKE2b-256 over the canonical JSON of the link before it, its number, its time, its kind, what it is
about, what it refers to, and the hash of its body. The body's own hash stands in between so that an old body can be
dropped and the chain still be walked; a checkpoint entry says which bodies were dropped. A chain cannot show that its
end was cut off: that takes a :class:`Head` kept elsewhere (``edge-twin trust status`` prints it).

Source: RFC 7693 (BLAKE2).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from edge_twin.jsonform import canonical
from edge_twin.store_times import to_us

SCHEMA = "edge-twin.ledger/1"
DIGEST_BYTES = 32
GENESIS = bytes(DIGEST_BYTES)


class Entered(StrEnum):
    """What an entry says."""

    FORECAST = "forecast"  # a promise
    FLAG = "flag"  # a promise
    COUNT = "count"  # an outcome: a measured count
    VERDICT = "verdict"  # an outcome: a clinician confirmed or rejected a flag
    GRANT = "grant"  # a clinician's signature that raised a stage
    DEMOTION = "demotion"  # the monitor took a stage away
    STAGE = "stage"  # which stage is in force from here on, and why
    CHECKPOINT = "checkpoint"  # bodies up to a number were dropped


@dataclass(frozen=True, slots=True)
class Entry:
    """One link.

    Attributes:
        number: 1 for the first.
        at: when it was entered, aware UTC.
        kind: see :class:`Entered`.
        subject: what it is about: number of a flag, id of an observation, name of a cover.
        refers: number of the promise that an outcome answers; 0 for none.
        body: canonical JSON; None once dropped.
        body_digest: of ``body``.
        digest: of the link.
    """

    number: int
    at: datetime
    kind: str
    subject: str
    refers: int
    body: bytes | None
    body_digest: bytes
    digest: bytes

    @property
    def says(self) -> dict[str, Any]:
        """The body as JSON values; empty once dropped."""
        return {} if self.body is None else dict(json.loads(self.body))


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain at some moment; kept elsewhere, it shows that nothing up to it was cut off or rewritten.

    Attributes:
        number: of the last entry; 0 for an empty chain.
        digest: its digest in hexadecimal figures.
    """

    number: int
    digest: str

    @property
    def text(self) -> str:
        """One word that a person can keep."""
        return f"{self.number}:{self.digest}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk over a chain found.

    Attributes:
        entries: that hold, from the first on.
        head: the last of them.
        broken: number of the first entry that does not hold; None when all do.
        why: ``missing``, ``link``, ``body``, ``dropped`` (a body is gone without a checkpoint), ``truncated`` or
            ``head`` (the kept head is another one); empty when all hold.
    """

    entries: int
    head: Head
    broken: int | None = None
    why: str = ""


def digest_of(content: bytes) -> bytes:
    """BLAKE2b-256."""
    return blake2b(content, digest_size=DIGEST_BYTES).digest()


def linked(  # noqa: PLR0913 - every part of an entry is bound
    previous: bytes, number: int, at: datetime, kind: str, *, subject: str, refers: int, body: bytes
) -> Entry:
    """The entry that follows ``previous``."""
    body_digest = digest_of(body)
    bare = Entry(number, at, kind, subject, refers, body, body_digest, b"")
    return Entry(number, at, kind, subject, refers, body, body_digest, link(previous, bare))


def link(previous: bytes, entry: Entry) -> bytes:
    """The digest that ``entry`` must have after ``previous``."""
    parts = (SCHEMA, previous.hex(), entry.number, to_us(entry.at), entry.kind, entry.subject, entry.refers)
    return digest_of(canonical([*parts, entry.body_digest.hex()]))


def verify(entries: Iterable[Entry], kept: Iterable[Head] = ()) -> Verdict:
    """Walk a chain from its first entry.

    Args:
        entries: in the order of their numbers.
        kept: heads that were written down elsewhere.
    """
    expected = {head.number: head.digest for head in kept}
    previous, number, withered, dropped = GENESIS, 0, 0, 0
    for entry in entries:
        why = _fault(entry, previous, number + 1) or _differs(entry, expected)
        if why:
            return Verdict(number, Head(number, previous.hex()), number + 1, why)
        previous, number = entry.digest, entry.number
        withered = entry.number if entry.body is None else withered
        if entry.kind == Entered.CHECKPOINT and entry.body is not None:
            dropped = max(dropped, int(entry.says["up_to"]))
    head = Head(number, previous.hex())
    if withered > dropped:
        return Verdict(number, head, withered, "dropped")
    if expected and max(expected) > number:
        return Verdict(number, head, number + 1, "truncated")
    return Verdict(number, head)


def _fault(entry: Entry, previous: bytes, number: int) -> str:
    if entry.number != number:
        return "missing"
    if entry.body is None and entry.kind != Entered.FORECAST:
        return "dropped"
    if entry.body is not None and digest_of(entry.body) != entry.body_digest:
        return "body"
    return "" if link(previous, entry) == entry.digest else "link"


def _differs(entry: Entry, expected: dict[int, str]) -> str:
    return "head" if expected.get(entry.number, entry.digest.hex()) != entry.digest.hex() else ""


def read_head(text: str) -> Head:
    """The inverse of ``Head.text``.

    Raises:
        ValueError: not a number and a digest.
    """
    number, _, digest = text.strip().partition(":")
    if len(bytes.fromhex(digest)) != DIGEST_BYTES or int(number) < 0:
        raise ValueError(text)
    return Head(int(number), digest.lower())
