"""Settings of one device, a TOML file; the demonstration writes one and is run from it like any site."""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from edge_twin.care import CareContext
from edge_twin.care_form import read_care
from edge_twin.contract import Dose
from edge_twin.errors import EdgeTwinError
from edge_twin.observation import as_utc
from edge_twin.program import Program, load_program
from edge_twin.signing import TrustedKeys
from edge_twin.trust import SiteTrust, Stage
from edge_twin_adapters.ble.link import LinkSecurity, Pairing
from edge_twin_app.errors import AppError

SCHEMA = "edge-twin.settings/1"


@dataclass(frozen=True, slots=True)
class Sensor:
    """A Bluetooth LE sensor.

    Attributes:
        kind: name of a profile, :data:`edge_twin_adapters.ble.profiles.PROFILES`; one sensor of a kind.
        address: as the platform writes it, or the advertised name.
        security: when to pair with it.
    """

    kind: str
    address: str
    security: LinkSecurity = field(default_factory=LinkSecurity)


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """Where distilled results go.

    Attributes:
        host, port: of the MQTT broker.
        keys: folder with the device's identity and its recipients' keys.
        cafile, certfile, keyfile: for mutual TLS; without a cafile the broker must be on this machine.
    """

    host: str
    port: int
    keys: Path
    cafile: Path | None = None
    certfile: Path | None = None
    keyfile: Path | None = None


@dataclass(frozen=True, slots=True)
class QuestionnaireSettings:
    """The content pack of a questionnaire that the site installed (PRO-CTCAE).

    Attributes:
        pack: directory or ZIP file.
        digest: SHA-256 of its manifest, as noted when it was installed.
    """

    pack: Path
    digest: str


@dataclass(frozen=True)
class Settings:
    """Settings of one device; paths are absolute once read.

    Attributes:
        time_zone: the patient's IANA zone.
        program: with its limits tightened as the care plan says.
        store: database file.
        intake: folder in which FHIR files, diary entries and answers of a questionnaire appear.
        sensors: Bluetooth LE sensors.
        doses: given and planned.
        sync: None keeps everything on the device.
        members, seed: of the ensemble.
        models: folder of the installed reduced models; the usual one when None.
        trusted: trust store that says whose models count; the usual one when None.
        frames: file in which the raw frames of the sensors are kept for a while; None keeps none.
        care: what the clinic knows about the patient, table ``care``.
        questionnaire: None reads no answers of a questionnaire.
        trust: site, clinicians' keys and the highest stage for this patient.
        grants: folder of signed grants of trust; None where there is none.
    """

    time_zone: str
    program: Program
    store: Path
    intake: Path
    sensors: tuple[Sensor, ...]
    doses: tuple[Dose, ...]
    sync: SyncSettings | None
    members: int | None
    seed: int
    models: Path | None = None
    trusted: Path | None = None
    frames: Path | None = None
    care: CareContext = field(default_factory=CareContext)
    questionnaire: QuestionnaireSettings | None = None
    trust: SiteTrust = field(default_factory=SiteTrust)
    grants: Path | None = None


def load_settings(path: Path) -> Settings:
    """Read a settings file; relative paths are relative to it.

    Raises:
        AppError: ``settings_unreadable`` or ``settings_malformed``; a program's own errors pass through.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise AppError(f"cannot read {path}: {error}", reason="settings_unreadable") from error
    try:
        return _settings(document, path.parent.resolve())
    except EdgeTwinError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AppError(f"settings {path} are malformed: {error!r}", reason="settings_malformed") from error


def _settings(document: Mapping[str, Any], base: Path) -> Settings:
    if document["schema"] != SCHEMA:
        raise AppError(f"settings schema {document['schema']!r}", reason="settings_malformed")
    return Settings(
        time_zone=ZoneInfo(document["time_zone"]).key,
        program=_program(document),
        store=base / document["store"],
        intake=base / document["intake"],
        sensors=tuple(_sensor(row) for row in document.get("sensor", ())),
        doses=tuple(_dose(row) for row in document.get("dose", ())),
        sync=_sync(document["sync"], base) if "sync" in document else None,
        members=document.get("members"),
        seed=int(document.get("seed", 1)),
        models=base / document["models"] if "models" in document else None,
        trusted=base / document["trusted"] if "trusted" in document else None,
        frames=base / document["frames"] if "frames" in document else None,
        care=read_care(document.get("care", {})),
        questionnaire=_questionnaire(document["questionnaire"], base) if "questionnaire" in document else None,
        trust=_trust(document.get("trust", {}), base),
        grants=base / document["trust"].get("grants", "grants") if "trust" in document else None,
    )


def _questionnaire(row: Mapping[str, Any], base: Path) -> QuestionnaireSettings:
    return QuestionnaireSettings(base / row["pack"], str(row["digest"]))


def _trust(row: Mapping[str, Any], base: Path) -> SiteTrust:
    """The table ``[trust]``; without it nothing that a model says is shown."""
    keys = TrustedKeys.load(base / row["clinicians"]) if "clinicians" in row else None
    return SiteTrust(str(row.get("site", "")), keys, Stage(row.get("highest", Stage.ACTIVE)))


def _sensor(row: Mapping[str, Any]) -> Sensor:
    pairing, again = Pairing(row.get("pairing", Pairing.WHEN_NEEDED)), row.get("pair_again", False)
    if not isinstance(again, bool):
        raise TypeError(again)
    return Sensor(row["kind"], row["address"], LinkSecurity(pairing, again))


def _program(document: Mapping[str, Any]) -> Program:
    """The program with each limit of the care plan, which can only be stricter."""
    program = load_program(document["program"])
    for row in document.get("limit", ()):
        program = program.with_tightened(row["id"], float(row["value"]), row["reason"])
    return program


def _dose(row: Mapping[str, Any]) -> Dose:
    amount = float(row["amount_mg"])
    minutes = float(row["infusion_minutes"])
    if not (0.0 < amount < float("inf") and 0.0 <= minutes < float("inf")):
        raise ValueError("a dose needs a positive amount and a length that is not negative")
    return Dose(as_utc(datetime.fromisoformat(str(row["time"]))), row["drug"], amount, timedelta(minutes=minutes))


def _sync(row: Mapping[str, Any], base: Path) -> SyncSettings:
    tls = [base / row[name] if name in row else None for name in ("cafile", "certfile", "keyfile")]
    if tls[0] is None and not _is_loopback(row["host"]):
        raise AppError("a broker on another machine needs a cafile", reason="tls_missing")
    return SyncSettings(row["host"], int(row["port"]), base / row["keys"], *tls)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
