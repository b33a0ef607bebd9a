"""Stages of trust: a program with a model at a site is silent, advisory or active; a clinician's signature raises it.

Silent: what the model says is recorded and shown to nobody. Advisory: clinicians see it. Active: the patient too. Rules
on measured values are not concerned: they are shown at every stage. A grant is a signed document
(``edge-twin.trust-grant/1`` in a DSSE envelope) for one program version, one bundle and one site, with the evidence
that it rests on; it raises by one step. The ledger keeps grants as they came, and whoever starts a device verifies
them again, so that a row written by hand raises nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from edge_twin.errors import BundleError, TrustError
from edge_twin.flag import FlagKind
from edge_twin.jsonform import canonical, plain
from edge_twin.ledger import Entered, Entry
from edge_twin.observation import Origin
from edge_twin.promises import Cover
from edge_twin.signing import TrustedKeys
from edge_twin.track_record import TrackRecord
from edge_twin.trust_rules import TrustRules, trust_rules

SCHEMA = "edge-twin.trust-grant/1"
TYPE = "application/vnd.edge-twin.trust-grant+json"
LARGEST = 200_000  # bytes of a grant's file
CLOCK_LEAD = timedelta(minutes=5)  # by which the signer's clock may be ahead


class Stage(StrEnum):
    """How far what a model says is trusted."""

    SILENT = "silent"
    ADVISORY = "advisory"
    ACTIVE = "active"

    @property
    def rank(self) -> int:
        """0 for silent."""
        return tuple(Stage).index(self)


class Audience(StrEnum):
    """Who is shown something."""

    CLINICIAN = "clinician"
    PATIENT = "patient"


_SEES = {
    Stage.SILENT: frozenset[Audience](),
    Stage.ADVISORY: frozenset((Audience.CLINICIAN,)),
    Stage.ACTIVE: frozenset(Audience),
}
_NEVER_HELD_BACK = frozenset((FlagKind.DATA_QUALITY, FlagKind.RUNTIME_STOPPED))


def audience(form: Mapping[str, Any], stage: Stage) -> frozenset[Audience]:
    """Who is shown a flag.

    Args:
        form: of the flag (``edge_twin.jsonform.flag_form``): its ``kind``, ``origin`` and ``contributions`` decide.
        stage: in force.
    """
    learned = form["origin"] == Origin.MODEL or bool(form.get("contributions"))
    if not learned or form["kind"] in _NEVER_HELD_BACK:
        return frozenset(Audience)
    return _SEES[stage]


@dataclass(frozen=True)
class SiteTrust:
    """What a site settles about trust.

    Attributes:
        site: its name, as grants say it.
        clinicians: keys whose signature raises a stage; None when nobody may.
        highest: no stage above it is in force for this patient: a care plan can only lower.
    """

    site: str = ""
    clinicians: TrustedKeys | None = None
    highest: Stage = Stage.ACTIVE


@dataclass(frozen=True)
class TrustGrant:
    """A clinician's word that a stage is earned.

    Attributes:
        cover: program, its version and bundle.
        site: for which it holds.
        stage: granted; silent takes trust away.
        evidence: on which it rests.
        signer: name of the clinician.
        key_id: fingerprint of the key.
        issued, expires: aware UTC.
    """

    cover: Cover
    site: str
    stage: Stage
    evidence: TrackRecord
    signer: str
    key_id: str
    issued: datetime
    expires: datetime

    @property
    def payload(self) -> bytes:
        """What is signed: canonical JSON."""
        form = {"schema": SCHEMA, **{name: plain(getattr(self, name)) for name in _PLAIN}}
        return canonical({**form, "cover": plain(self.cover), "evidence": self.evidence.form})

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """From bytes whose signature was verified.

        Raises:
            TrustError: ``malformed``, ``schema_unsupported``.
        """
        try:
            form = json.loads(payload)
            if form["schema"] != SCHEMA:
                raise TrustError(f"grant schema {form['schema']!r}", reason="schema_unsupported")
            return cls._of(form)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise TrustError(f"the grant is malformed: {error!r}", reason="malformed") from error

    @classmethod
    def simulated_in(cls, document: str) -> bool:
        """Whether a grant in the ledger rests on virtual patients; its signature is not asked for."""
        return cls.read(_opened(document.encode())[0]).evidence.simulated

    @classmethod
    def _of(cls, form: Mapping[str, Any]) -> Self:
        issued, expires = (datetime.fromisoformat(form[name]) for name in ("issued", "expires"))
        if issued.tzinfo is None or expires.tzinfo is None or not issued < expires:
            raise ValueError("times")
        cover = Cover(str(form["cover"]["program"]), int(form["cover"]["version"]), str(form["cover"]["bundle"]))
        who = (str(form["site"]), Stage(form["stage"]), TrackRecord.read(form["evidence"]))
        return cls(cover, *who, str(form["signer"]), str(form["key_id"]), issued, expires)


_PLAIN = ("site", "stage", "signer", "key_id", "issued", "expires")


def envelope(payload: bytes, signature: bytes) -> bytes:
    """A signed grant as the file that travels (DSSE)."""
    return canonical({
        "payload": base64.b64encode(payload).decode(),
        "payloadType": TYPE,
        "signatures": [{"sig": base64.b64encode(signature).decode()}],
    })  # fmt: skip


def open_grant(document: bytes, clinicians: TrustedKeys | None) -> TrustGrant:
    """Verify a grant's signature, then read it.

    Raises:
        TrustError: ``malformed``, ``schema_unsupported``, ``no_clinicians``, ``wrong_signer`` (the grant names another
            key than the one that signed), ``signature_invalid``, ``signature_malformed``, ``development_key``.
    """
    payload, signature = _opened(document)
    if clinicians is None:
        raise TrustError("the site lists no clinician's key", reason="no_clinicians")
    try:
        key = clinicians.signer(TYPE, payload, signature)
    except BundleError as error:
        raise TrustError(str(error), reason=error.reason) from error
    grant = TrustGrant.read(payload)
    if grant.key_id != key.fingerprint:
        raise TrustError(f"the grant names key {grant.key_id}, another one signed it", reason="wrong_signer")
    return grant


def _opened(document: bytes) -> tuple[bytes, bytes]:
    if len(document) > LARGEST:
        raise TrustError("too large for a grant", reason="malformed")
    try:
        form = json.loads(document)
        (signature,) = form["signatures"]
        _ = {TYPE: None}[form["payloadType"]]
        parts = (form["payload"], signature["sig"])
        payload, sig = (base64.b64decode(part, validate=True) for part in parts)
    except (KeyError, TypeError, ValueError, binascii.Error, AttributeError, RecursionError) as error:
        raise TrustError(f"no signed grant: {error!r}", reason="malformed") from error
    return payload, sig


@dataclass(frozen=True)
class Standing:
    """Which stage is in force, and why.

    Attributes:
        stage: in force.
        why: ``no_grant``, ``granted``, ``expired``, ``coverage``, ``precision`` (the monitor took it), ``care_plan``.
        since: number of the entry of the ledger that decided; 0 for none. Outcomes after it feed the monitor.
        grant: that counts or counted last.
        demoted: when the monitor took trust last; only what was signed later gives it back.
    """

    stage: Stage = Stage.SILENT
    why: str = "no_grant"
    since: int = 0
    grant: TrustGrant | None = None
    demoted: datetime | None = None


def standing(entries: Iterable[Entry], cover: Cover, site: SiteTrust, now: datetime) -> Standing:
    """The stage in force by the grants and demotions of a ledger; every signature is verified again.

    Args:
        entries: of the ledger, in order; kinds other than grants and demotions are passed over.
        cover: for which.
        site: whose keys count.
        now: aware UTC.
    """
    found = Standing()
    for entry in entries:
        if entry.kind == Entered.GRANT:
            found = _granted(found, entry, cover, site)
        elif entry.kind == Entered.DEMOTION and entry.subject == cover.text:
            found = _demoted(found, entry)
    return limited(found, site, now)


def _granted(before: Standing, entry: Entry, cover: Cover, site: SiteTrust) -> Standing:
    try:
        grant = open_grant(str(entry.says["document"]).encode(), site.clinicians)
        _check_place(grant, cover, site)
        _check_order(grant, before, entry.at)
        _check_evidence(grant, site)
    except (TrustError, KeyError):
        return before
    return Standing(grant.stage, "granted", entry.number, grant, before.demoted)


def _demoted(before: Standing, entry: Entry) -> Standing:
    says = entry.says
    lower = Stage(says["stage"])
    stage = min(lower, before.stage, key=lambda one: one.rank)
    return replace(before, stage=stage, why=says["why"], since=entry.number, demoted=entry.at)


def limited(found: Standing, site: SiteTrust, now: datetime) -> Standing:
    """What expiry and the care plan leave of a standing."""
    if found.grant is not None and now >= found.grant.expires:
        return replace(found, stage=Stage.SILENT, why="expired")
    if found.stage.rank > site.highest.rank:
        return replace(found, stage=site.highest, why="care_plan")
    return found


def admit(document: bytes, entries: Iterable[Entry], cover: Cover, site: SiteTrust, now: datetime) -> TrustGrant:
    """The grant in ``document`` if it counts now; entering it into the ledger is the caller's.

    Args:
        document: a signed grant.
        entries: grants and demotions of the ledger, in order.
        cover: of the device.
        site: of the device.
        now: aware UTC.

    Raises:
        TrustError: as :func:`open_grant`; ``wrong_program``, ``wrong_version``, ``wrong_bundle``, ``wrong_site``;
            ``not_yet_valid``, ``expired``, ``too_long``, ``replayed`` (not newer than what decided last),
            ``step_skipped``; ``simulated_evidence`` in the production profile; ``too_few_counts``, ``coverage_low``,
            ``too_few_flags``, ``precision_low``, ``too_many_alerts``.
    """
    grant = open_grant(document, site.clinicians)
    _check_place(grant, cover, site)
    _check_time(grant, now)
    open_ended = replace(site, highest=Stage.ACTIVE)
    before = standing(entries, cover, open_ended, now)
    _check_order(grant, before, now)
    _check_evidence(grant, site)
    return grant


def _check_place(grant: TrustGrant, cover: Cover, site: SiteTrust) -> None:
    for name, said, wanted in (
        ("program", grant.cover.program, cover.program),
        ("version", grant.cover.version, cover.version),
        ("bundle", grant.cover.bundle, cover.bundle),
        ("site", grant.site, site.site),
        ("bundle", grant.evidence.cover, grant.cover),
    ):
        if said != wanted:
            raise TrustError(f"the grant is for {name} {said}, not {wanted}", reason=f"wrong_{name}")


def _check_time(grant: TrustGrant, now: datetime) -> None:
    if grant.issued > now + CLOCK_LEAD:
        raise TrustError("the grant was issued in the future", reason="not_yet_valid")
    if now >= grant.expires:
        raise TrustError("the grant has expired", reason="expired")
    if grant.expires - grant.issued > trust_rules().span("trust_grant", "longest_days"):
        raise TrustError("the grant lasts longer than one may", reason="too_long")


def _check_order(grant: TrustGrant, before: Standing, entered: datetime) -> None:
    """Newer than what decided last, by one step at most; after a demotion only what was signed later counts."""
    if before.grant is not None and grant.issued <= before.grant.issued:
        raise TrustError("a newer grant was entered before", reason="replayed")
    if before.demoted is not None and grant.issued <= before.demoted:
        raise TrustError("trust was taken away after the grant was signed", reason="replayed")
    if grant.stage.rank > before.stage.rank + 1:
        raise TrustError(f"from {before.stage} to {grant.stage} is more than one step", reason="step_skipped")
    if grant.issued > entered + CLOCK_LEAD:
        raise TrustError("the grant was issued after it was entered", reason="not_yet_valid")


def _check_evidence(grant: TrustGrant, site: SiteTrust) -> None:
    if site.clinicians is not None and site.clinicians.production and grant.evidence.simulated:
        raise TrustError("virtual patients are no evidence for patients", reason="simulated_evidence")
    for reason in missing(grant.evidence, grant.stage, trust_rules()):
        raise TrustError(f"the evidence does not reach what {grant.stage} needs: {reason}", reason=reason)


def missing(evidence: TrackRecord, stage: Stage, rules: TrustRules) -> tuple[str, ...]:
    """What a track record lacks for a stage, as stable words; empty when nothing, and for silent."""
    if stage is Stage.SILENT:
        return ()
    table, alerts = f"trust_{stage}", evidence.alerts_per_week
    lacks = {
        "too_few_counts": evidence.counts < rules.value(table, "counts"),
        "coverage_low": evidence.coverage[0] < rules.value(table, "coverage_lower"),
        "too_few_flags": evidence.resolved < rules.value(table, "resolved_flags"),
        "precision_low": evidence.precision[0] < rules.value(table, "precision_lower"),
        "too_many_alerts": alerts is None or alerts > rules.value(table, "alerts_per_week"),
    }
    return tuple(reason for reason, lacking in lacks.items() if lacking)
