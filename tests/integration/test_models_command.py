"""``edge-twin models`` as a site meets it: in a process of its own, with a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_twin.archive import MANIFEST, SIGNATURE, unpack
from edge_twin.signing import TRUST_SCHEMA
from edge_twin_app.models import installed_models, trusted_keys
from edge_twin_models import bundle_names, bundle_path

NAME = "neutropenia"


@dataclass(frozen=True)
class Site:
    """A device's folder, and the trust store that it reads when there is one."""

    folder: Path

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """``edge-twin models`` with these arguments."""
        environment = os.environ | {"EDGE_TWIN_MODELS": str(self.folder / "models")}
        environment.pop("EDGE_TWIN_TRUSTED", None)
        if (self.folder / "trusted.toml").exists():
            environment["EDGE_TWIN_TRUSTED"] = str(self.folder / "trusted.toml")
        command = [sys.executable, "-m", "edge_twin_app", "models", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, check=False, timeout=60, text=True, env=environment)

    def rows(self, *arguments: str | Path) -> list[dict[str, Any]]:
        """What it prints with ``--json``."""
        ended = self.run(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        rows: list[dict[str, Any]] = json.loads(ended.stdout)["rows"]
        return rows

    def refusal(self, *arguments: str | Path) -> str:
        """The one line with which it refuses."""
        ended = self.run(*arguments)
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
        return ended.stderr

    def build(self, version: int) -> Path:
        """The directory of a third party's build: the shipped model as another version."""
        directory = self.folder / f"build{version}"
        directory.mkdir()
        members = unpack(bundle_path(NAME).read_bytes())
        members[MANIFEST] = json.dumps({**json.loads(members[MANIFEST]), "version": version}).encode()
        for name in set(members) - {SIGNATURE}:
            (directory / name).write_bytes(members[name])
        return directory

    def commit(self) -> None:
        """What the runtime does after a good start."""
        models = installed_models(self.folder / "models", trusted_keys(self.folder / "trusted.toml"))
        models.start(NAME)
        assert models.healthy(NAME)

    def signs(self) -> Path:
        """Make a key and trust it alone, in the production profile."""
        key = self.folder / "key.toml"
        (row,) = self.rows("keygen", key, "--name", "clinic")
        head = f'schema = "{TRUST_SCHEMA}"\nprofile = "production"\n'
        text = f'{head}[[key]]\nname = "clinic"\npublic = "{row["public"]}"\n'
        (self.folder / "trusted.toml").write_text(text, encoding="utf-8")
        return key


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_shipped_then_installed_versions_are_listed(site: Site) -> None:
    shipped = {row["name"]: row for row in site.rows("list")}
    assert shipped[NAME]["origin"] == "shipped"
    assert (shipped[NAME]["status"], shipped[NAME]["signer"]) == ("verified", "DEVELOPMENT")
    (installed,) = site.rows("install", bundle_path(NAME))
    assert (installed["status"], installed["changed"]) == ("on_trial", True)
    listed = [row for row in site.rows("list") if row["origin"] == "installed"]
    assert [(row["name"], row["version"], row["digest"]) for row in listed] == [
        (NAME, shipped[NAME]["version"], shipped[NAME]["digest"]),
    ]
    assert f"name={NAME}" in site.run("list").stdout
    (again,) = site.rows("install", bundle_path(NAME))
    assert not again["changed"]


def test_an_archive_is_verified_with_its_golden_vectors(site: Site) -> None:
    (row,) = site.rows("verify", bundle_path(NAME))
    assert row["status"] == "verified"
    assert 0.0 <= row["engines"]["numpy"] < 1e-4
    assert not (site.folder / "models").exists()
    damaged = bytearray(bundle_path(NAME).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (site.folder / "damaged.etb").write_bytes(damaged)
    assert "[archive_not_canonical]" in site.refusal("verify", site.folder / "damaged.etb")
    assert "[unreadable_file]" in site.refusal("verify", site.folder / "absent.etb")


@pytest.mark.timeout(240)
def test_shipped_and_installed_names_are_verified_like_files(site: Site) -> None:
    for name in bundle_names()[:2]:
        (row,) = site.rows("verify", name)
        assert (row["origin"], row["name"], row["bytes"]) == ("shipped", name, bundle_path(name).stat().st_size)
    site.rows("install", bundle_path(NAME))
    assert site.rows("verify", NAME)[0]["origin"] == "installed"
    (archive,) = (site.folder / "models" / NAME / "versions").glob("*/bundle.etb")
    archive.write_bytes(archive.read_bytes()[:-1])
    assert "[archive_truncated]" in site.refusal("verify", NAME)
    assert "[bundle_unknown]" in site.refusal("verify", "nothing")


def test_the_card_is_shown(site: Site) -> None:
    ended = site.run("card", NAME)
    assert ended.returncode == 0, ended.stderr
    (row,) = site.rows("card", NAME)
    assert (row["origin"], row["card"].rstrip("\n")) == ("shipped", ended.stdout.rstrip("\n"))
    assert "docetaxel" in row["card"].lower()
    site.rows("install", bundle_path(NAME))
    assert site.rows("card", NAME)[0]["origin"] == "installed"


def test_a_site_signs_installs_and_goes_back(site: Site) -> None:
    directories = [site.build(version) for version in (1, 2)]
    key = site.signs()
    assert key.stat().st_mode & 0o077 == 0
    for directory in directories:
        (row,) = site.rows("sign", directory, "--key", key)
        assert row["bytes"] == Path(row["file"]).stat().st_size
    assert "[development_key]" in site.refusal("install", bundle_path(NAME))
    (row,) = site.rows("install", site.folder / "build1.etb")
    assert (row["signer"], row["version"]) == ("clinic", 1)
    assert "[nothing_to_roll_back_to]" in site.refusal("rollback", NAME)
    site.commit()
    assert site.rows("install", site.folder / "build2.etb")[0]["status"] == "on_trial"
    (row,) = site.rows("rollback", NAME)
    assert (row["version"], row["status"]) == (1, "committed")


@pytest.mark.timeout(240)
def test_a_site_refuses_what_is_older(site: Site) -> None:
    directories = [site.build(version) for version in (1, 2)]
    key = site.signs()
    for directory in directories:
        site.rows("sign", directory, "--key", key)
    site.rows("install", site.folder / "build2.etb")
    site.commit()
    assert "[key_exists]" in site.refusal("keygen", key, "--name", "clinic")
    older = site.folder / "build1.etb"
    assert "[downgraded]" in site.refusal("install", older)
    (listed,) = [row for row in site.rows("list") if row["origin"] == "installed"]
    assert "[grant_pointless]" in site.refusal("grant", site.folder / "build2.etb", "--floor", "2", "--key", key)
    (granted,) = site.rows("grant", older, "--floor", str(listed["floor"]), "--key", key)
    assert (granted["version"], granted["signer"]) == (1, "clinic")
    (installed,) = site.rows("install", older, "--grant", granted["file"])
    assert (installed["version"], installed["floor"]) == (1, 2)
    expired = site.rows("grant", older, "--floor", "2", "--key", key, "--days", "-1")[0]["file"]
    site.rows("install", site.folder / "build2.etb")
    assert "[grant_refused]" in site.refusal("install", older, "--grant", expired)
