"""Settings of a device: read, tightened, refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_twin.errors import EdgeTwinError, ProgramError
from edge_twin_app.errors import AppError
from edge_twin_app.settings import load_settings

GOOD = """
schema = "edge-twin.settings/1"
time_zone = "Africa/Kampala"
program = "neutropenia"
store = "twin.db"
intake = "in"
[[sensor]]
kind = "thermometer"
address = "C0:00:00:00:00:02"
[[dose]]
time = "2026-03-02T09:00:00+03:00"
drug = "docetaxel"
amount_mg = 135
infusion_minutes = 60
[[limit]]
id = "anc_on_dose_day"
value = 2.0
reason = "care plan"
[sync]
host = "127.0.0.1"
port = 1883
keys = "keys"
"""


def load(folder: Path, text: str) -> object:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def test_paths_are_relative_to_the_file_and_limits_tightened(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(GOOD, encoding="utf-8")
    settings = load_settings(path)
    assert settings.store == tmp_path / "twin.db"
    assert settings.sync is not None
    assert settings.sync.keys == tmp_path / "keys"
    assert settings.program.limits["anc_on_dose_day"].value == 2.0
    assert settings.doses[0].time.isoformat() == "2026-03-02T06:00:00+00:00"


def test_a_limit_cannot_be_loosened_by_settings(tmp_path: Path) -> None:
    with pytest.raises(ProgramError) as caught:
        load(tmp_path, GOOD.replace("value = 2.0", "value = 1.0"))
    assert caught.value.reason == "limit_loosened"


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("settings/1", "settings/2", "settings_malformed"),
        ("Africa/Kampala", "Nowhere/Land", "settings_malformed"),
        ("amount_mg = 135", "amount_mg = -1", "settings_malformed"),
        ("+03:00", "", "naive_time"),
        ("[sync]", "[sync", "settings_unreadable"),
        ("127.0.0.1", "broker.example", "tls_missing"),
        ('store = "twin.db"', "", "settings_malformed"),
    ],
)
def test_settings_that_are_not_right_are_refused(tmp_path: Path, before: str, after: str, reason: str) -> None:
    with pytest.raises(EdgeTwinError) as caught:
        load(tmp_path, GOOD.replace(before, after))
    assert caught.value.reason == reason


def test_no_settings_at_all(tmp_path: Path) -> None:
    with pytest.raises(AppError) as caught:
        load_settings(tmp_path / "none.toml")
    assert caught.value.reason == "settings_unreadable"


def test_what_the_clinic_knows_is_read_and_a_misspelt_key_refused(tmp_path: Path) -> None:
    known = '[care]\nctcae_version = "6.0"\ncell_therapy = [2026-03-01T10:00:00Z]\n'
    settings = load_settings(_written(tmp_path, GOOD + known))
    assert settings.care.ctcae_version == "6.0"
    assert settings.care.cell_therapy[0].isoformat() == "2026-03-01T10:00:00+00:00"
    with pytest.raises(EdgeTwinError) as caught:
        load_settings(_written(tmp_path, GOOD + "[care]\npregnent = true\n"))
    assert caught.value.reason == "unknown_key"


def _written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path
