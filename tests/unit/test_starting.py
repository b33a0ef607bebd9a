"""Which version a run uses, and what it reports about it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_twin import codes
from edge_twin.archive import MANIFEST, SIGNATURE, unpack
from edge_twin.bundle import Bundle, load_bundle
from edge_twin.contract import Dose, TwinInput, TwinOutput
from edge_twin.errors import BundleError
from edge_twin.installed import InstalledModels, Policy
from edge_twin.observation import observe
from edge_twin.program import Program
from edge_twin.reduced_model import ReducedModel
from edge_twin.release import signed_files
from edge_twin.signing import DEVELOPMENT_TRUST
from edge_twin.twin import advance
from edge_twin_app.starting import ModelStart
from edge_twin_models import bundle_path, development_key

NAME = "neutropenia"
SHIPPED = load_bundle(bundle_path(NAME)).version
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class Run:
    """One start of a run, with what it noted."""

    def __init__(self, models: InstalledModels) -> None:
        self.notes: list[str] = []
        self.start = ModelStart(NAME, models, lambda: load_bundle(bundle_path(NAME)), self.notes.append)

    def open(self) -> Bundle:
        """The bundle of the run."""
        bundle = self.start.open()
        assert bundle is not None
        return bundle


@pytest.fixture
def models(tmp_path: Path) -> InstalledModels:
    return InstalledModels(tmp_path, DEVELOPMENT_TRUST, lambda: NOW)


@pytest.fixture(name="output")
def _output(program: Program, model: ReducedModel, docetaxel: Dose) -> TwinOutput:
    now = docetaxel.time + timedelta(days=3)
    count = observe(codes.NEUTROPHILS, 4.0, now - timedelta(hours=2), source="lab")
    given = TwinInput(now, "UTC", program, model, (count,), doses=(docetaxel,), members=20)
    return advance(given)


def released(version: int) -> bytes:
    members = {n: c for n, c in unpack(bundle_path(NAME).read_bytes()).items() if n != SIGNATURE}
    members[MANIFEST] = json.dumps({**json.loads(members[MANIFEST]), "version": version}).encode()
    return signed_files(members, development_key())


def crash(models: InstalledModels) -> None:
    for _ in range(Policy().max_starts):
        Run(models).open()


def test_without_an_installed_version_the_shipped_one_runs_and_nothing_is_recorded(
    models: InstalledModels, output: TwinOutput
) -> None:
    run = Run(models)
    assert run.open().version == SHIPPED
    run.start.stepped(output)
    assert (models.names(), run.notes) == ((), [])


def test_a_forecast_commits_the_trial(models: InstalledModels, output: TwinOutput) -> None:
    models.install(released(7))
    run = Run(models)
    assert run.open().version == 7
    assert models.state(NAME).starts == 1
    run.start.stepped(output)
    run.start.stepped(output)
    assert not models.state(NAME).on_trial
    assert run.notes == ["committed neutropenia version 7"]


def test_a_step_without_a_forecast_clears_the_starts_and_commits_nothing(
    models: InstalledModels, output: TwinOutput
) -> None:
    models.install(released(7))
    run = Run(models)
    run.open()
    run.start.stepped(replace(output, forecast=None))
    assert (models.state(NAME).starts, models.state(NAME).on_trial) == (0, True)
    run.start.stepped(output)
    assert not models.state(NAME).on_trial


def test_a_crash_loop_of_the_first_version_ever_leaves_the_shipped_one(models: InstalledModels) -> None:
    models.install(released(7))
    crash(models)
    run = Run(models)
    assert run.open().version == SHIPPED
    assert run.notes == ["crash_loop neutropenia version 7: the shipped bundle takes over"]


def test_a_crash_loop_of_a_committed_version_leaves_no_model_rather_than_an_older_one(
    models: InstalledModels, output: TwinOutput
) -> None:
    models.install(released(7))
    proved = Run(models)
    proved.open()
    proved.start.stepped(output)
    crash(models)
    run = Run(models)
    assert run.start.open() is None
    assert run.notes == ["crash_loop neutropenia version 7: nothing to roll back to, no forecasts"]


def test_a_crash_loop_of_a_trial_goes_back_and_says_so(models: InstalledModels, output: TwinOutput) -> None:
    models.install(released(7))
    proved = Run(models)
    proved.open()
    proved.start.stepped(output)
    models.install(released(8))
    crash(models)
    run = Run(models)
    assert run.open().version == 7
    assert run.notes == ["rolled_back neutropenia from version 8 to 7"]


def test_a_damaged_version_without_another_is_refused_not_replaced(models: InstalledModels, tmp_path: Path) -> None:
    models.install(released(7))
    archive = tmp_path / NAME / "versions" / "7" / "bundle.etb"
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(BundleError) as caught:
        Run(models).open()
    assert caught.value.reason == "archive_truncated"


def test_health_that_cannot_be_written_stops_nothing(
    models: InstalledModels, output: TwinOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, *, used: bool) -> bool:
        raise BundleError(f"no space for {name} {used}", reason="not_writable")

    models.install(released(7))
    run = Run(models)
    run.open()
    monkeypatch.setattr(models, "healthy", full)
    run.start.stepped(output)
    assert run.notes == []
