"""The demonstration's clinician: a key of its own and grants of the stages that evidence from virtual patients reaches.

``evidence.json`` is made by ``edge-twin trust simulate`` and says that it is simulated.
"""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import takewhile
from pathlib import Path

from edge_twin.signing import DEVELOPMENT, TRUST_SCHEMA, SigningKey
from edge_twin.track_record import TrackRecord
from edge_twin.trust import Stage, TrustGrant, missing
from edge_twin.trust_rules import trust_rules
from edge_twin_app.demonstration.patient import course
from edge_twin_app.trusting import signed_grant

SITE = "demonstration"
EVIDENCE = Path(__file__).with_name("evidence.json")
_VALID = timedelta(days=90)
_STAGES = (Stage.ADVISORY, Stage.ACTIVE)


def grant_trust(folder: Path) -> None:
    """Write the clinician's key, the site's list of keys, and a grant for every stage that the evidence reaches."""
    key = SigningKey.generate("clinician of the demonstration")
    (folder / "grants").mkdir()
    key.save(folder / "keys" / "clinician.toml")
    _list_key(key, folder / "clinicians.toml")
    evidence = TrackRecord.read(json.loads(EVIDENCE.read_text(encoding="utf-8")))
    for number, stage in enumerate(_earned(evidence)):
        document = signed_grant(_grant(evidence, key, stage, number), key)
        (folder / "grants" / f"{number + 1}-{stage}.json").write_bytes(document)


def _earned(evidence: TrackRecord) -> tuple[Stage, ...]:
    """The stages above silent that the evidence reaches, in order."""
    lacks = (missing(evidence, stage, trust_rules()) for stage in _STAGES)
    return tuple(stage for stage, _ in takewhile(lambda pair: not pair[1], zip(_STAGES, lacks, strict=True)))


def _list_key(key: SigningKey, path: Path) -> None:
    row = f'[[key]]\nname = "{key.name}"\npublic = "{key.trusted.public.hex()}"\n'
    path.write_text(f'schema = "{TRUST_SCHEMA}"\nprofile = "{DEVELOPMENT}"\n\n{row}', encoding="utf-8")


def _grant(evidence: TrackRecord, key: SigningKey, stage: Stage, number: int) -> TrustGrant:
    """Signed before the course begins, by the course's own clock, an hour apart."""
    issued = course()[0].time - timedelta(hours=2 - number)
    expires = issued + _VALID
    return TrustGrant(evidence.cover, SITE, stage, evidence, key.name, key.trusted.fingerprint, issued, expires)
