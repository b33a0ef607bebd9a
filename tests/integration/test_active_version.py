"""Every command that runs a model opens the installed version, and asks the trust store of the site."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest

from edge_twin.archive import MANIFEST, SIGNATURE, unpack
from edge_twin.installed import InstalledModels
from edge_twin.release import signed_files
from edge_twin.signing import DEVELOPMENT_TRUST, TRUST_SCHEMA
from edge_twin_app.cli import main
from edge_twin_app.models import active_bundle
from edge_twin_app.rehearsal_bench import work
from edge_twin_models import bundle_path, development_key

CASE = str(resources.files("edge_twin_app") / "cases" / "tolerant.json")
NAME = "neutropenia"


@pytest.fixture(name="models")
def _models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstalledModels:
    """A device on which version 7 is installed."""
    monkeypatch.setenv("EDGE_TWIN_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("EDGE_TWIN_TRUSTED", raising=False)
    members = {n: c for n, c in unpack(bundle_path(NAME).read_bytes()).items() if n != SIGNATURE}
    members[MANIFEST] = json.dumps({**json.loads(members[MANIFEST]), "version": 7}).encode()
    models = InstalledModels(tmp_path / "models", DEVELOPMENT_TRUST, lambda: datetime(2026, 11, 25, tzinfo=UTC))
    models.install(signed_files(members, development_key()))
    return models


@pytest.fixture(name="production")
def _production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trusted.toml"
    key = bytes(range(32)).hex()
    text = f'schema = "{TRUST_SCHEMA}"\nprofile = "production"\n[[key]]\nname = "clinic"\npublic = "{key}"\n'
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("EDGE_TWIN_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("EDGE_TWIN_TRUSTED", str(path))


@pytest.fixture(name="table")
def _table(tmp_path: Path) -> str:
    path = tmp_path / "counts.csv"
    path.write_text("patient,day,anc,dose,infusion_minutes\na,0,5.0,150,60\na,7,1.0,,\na,14,3.0,,\n", encoding="utf-8")
    return str(path)


def test_replay_and_evaluate_say_which_version_answered(
    models: InstalledModels, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "counts", table, "--members", "20", "--engine", "numpy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == f"{NAME}@7"
    state = models.state(NAME)
    assert (state.starts, state.on_trial) == (0, True), "looking at a version is no start and no proof"


def test_a_damaged_installed_version_is_never_replaced_in_silence(
    models: InstalledModels, tmp_path: Path, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "models" / NAME / "versions" / "7" / "bundle.etb"
    archive.write_bytes(archive.read_bytes()[:-1])
    for arguments in (["rehearse", CASE], ["replay", CASE], ["evaluate", "counts", table]):
        assert main(arguments) == 1
        assert "[archive_truncated]" in capsys.readouterr().err


def test_the_bench_measures_the_active_version(models: InstalledModels) -> None:
    assert active_bundle(NAME).version == 7
    assert callable(work("mechanistic", "numpy", 10))


@pytest.mark.usefixtures("production")
def test_production_refuses_the_shipped_bundles_from_the_command_line(
    table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["rehearse", CASE], ["replay", CASE], ["evaluate", "counts", table], ["models", "verify", NAME]):
        assert main(arguments) == 1
        assert "[development_key]" in capsys.readouterr().err
    assert main(["doctor", "--json"]) == 1
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["trust store"]["detail"].startswith("production: clinic")
    assert "development_key" in rows[f"bundle {NAME}"]["detail"]
