"""``edge-twin trust``: from a ledger to signed evidence and back, and a tampered store is named."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_twin.jsonform import flag_form
from edge_twin.ledger import Entered
from edge_twin.program import load_program
from edge_twin.promises import cover_of, flag_promise
from edge_twin.signing import SigningKey, TrustedKeys
from edge_twin.store import Store
from edge_twin.track_record import TrackRecord
from edge_twin.trust import SiteTrust, Stage, missing, open_grant
from edge_twin.trust_rules import trust_rules
from edge_twin_app.cli import main
from edge_twin_app.demonstration.trust import EVIDENCE
from edge_twin_app.models import load_model
from tests.unit.test_flag_life import COUNT

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    cover = cover_of(load_program("neutropenia"), "neutropenia@2")
    with closing(Store(tmp_path / "edge-twin.db")) as store, store.transaction():
        says = flag_promise(1, COUNT.key, {**flag_form(COUNT), "origin": "model"}, cover)
        promise = {"cover": cover.text, "threshold": 0.5, "probability": 0.7, "until": START + timedelta(days=7)}
        store.ledger.append(Entered.FORECAST, START, promise, subject=cover.text)
        store.ledger.append(Entered.FLAG, START, says, subject="1")
    return tmp_path / "edge-twin.db"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["trust", *arguments]) == 0
    return capsys.readouterr().out


def test_a_clinicians_outcome_reaches_the_evidence(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads(said(capsys, "evidence", "--store", str(path)))
    assert (before["flags"], before["confirmed"], before["rejected"]) == (1, 0, 0)
    said(capsys, "outcome", "1", "rejected", "--by", "Dr Example", "--store", str(path))
    said(capsys, "outcome", "1", "confirmed", "--by", "Dr Example", "--store", str(path))  # the last word counts
    after = json.loads(said(capsys, "evidence", "--store", str(path)))
    assert (after["flags"], after["confirmed"], after["rejected"]) == (1, 1, 0)
    assert main(["trust", "outcome", "9", "confirmed", "--by", "Dr Example", "--store", str(path)]) == 1
    assert main(["trust", "outcome", "1", "confirmed", "--by", " ", "--store", str(path)]) == 1


def test_status_says_what_the_next_stage_lacks(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = json.loads(said(capsys, "status", "--store", str(path)))
    assert (status["stage"], status["why"], status["next_stage"]) == ("silent", "no_grant", "advisory")
    assert "too_few_counts" in status["missing"]


def test_verify_names_the_entry_that_was_changed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = said(capsys, "verify", "--store", str(path)).split()[-1]
    said(capsys, "verify", "--store", str(path), "--head", head)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM ledger WHERE number = 2")
    assert main(["trust", "verify", "--store", str(path), "--head", head]) == 1
    assert "entry 2 does not hold: truncated" in capsys.readouterr().out
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE ledger SET body = ? WHERE number = 1", (b'{"probability":0.1}',))
    assert main(["trust", "verify", "--store", str(path)]) == 1
    assert "entry 1 does not hold: body" in capsys.readouterr().out


def test_a_grant_is_signed_on_a_document_of_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = SigningKey.generate("Dr Example")
    key.save(tmp_path / "key.toml")
    out = tmp_path / "grant.json"
    said(
        capsys, "grant", str(EVIDENCE), "--key", str(tmp_path / "key.toml"), "--site", "ward 5", "--stage", "advisory",
        "--out", str(out),
    )  # fmt: skip
    grant = open_grant(out.read_bytes(), TrustedKeys("development", (key.trusted,)))
    assert (grant.stage, grant.site, grant.evidence.simulated) == (Stage.ADVISORY, "ward 5", True)
    assert SiteTrust().clinicians is None


def test_what_is_no_evidence_or_no_store_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.json").write_text("{}")
    arguments = ["grant", str(tmp_path / "bad.json"), "--key", "k", "--site", "s", "--stage", "active", "--out", "o"]
    assert main(["trust", *arguments]) == 1
    assert "[malformed]" in capsys.readouterr().err
    assert main(["trust", "status", "--store", str(tmp_path / "none.db")]) == 1
    assert "[no_store]" in capsys.readouterr().err


def test_the_demonstrations_evidence_is_for_what_runs() -> None:
    """After a new version of program or bundle it is counted anew (docs/trust.md names the command)."""
    program = load_program("neutropenia")
    evidence = TrackRecord.read(json.loads(EVIDENCE.read_text(encoding="utf-8")))
    assert evidence.cover == cover_of(program, load_model(program.bundle).id)
    assert evidence.simulated
    assert missing(evidence, Stage.ADVISORY, trust_rules()) == ()
