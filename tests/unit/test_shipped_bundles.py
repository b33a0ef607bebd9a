"""Every bundle of the package is one small signed archive that says what it needs; nothing unsigned lies beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_twin.archive import unpack
from edge_twin.bundle import load_bundle, open_bundle
from edge_twin.errors import BundleError
from edge_twin.release import SUFFIX
from edge_twin.signing import PRODUCTION, SigningKey, TrustedKey, TrustedKeys
from edge_twin_models import bundle_names, bundle_path, development_key, releasing

LARGEST_BYTES = 400_000


def test_nothing_in_the_bundles_folder_is_unsigned() -> None:
    folder = bundle_path("neutropenia").parent
    assert {path.name for path in folder.iterdir()} == {f"{name}{SUFFIX}" for name in bundle_names()}
    assert {"aml", "neutropenia", "neutropenia-course", "neutropenia-cycle"} <= set(bundle_names())


@pytest.mark.parametrize("name", bundle_names())
def test_a_shipped_bundle_is_signed_small_and_says_what_it_needs(name: str) -> None:
    bundle = load_bundle(bundle_path(name))
    assert bundle.signer is not None
    assert bundle.signer.development
    assert bundle.id == name
    assert bundle_path(name).stat().st_size < LARGEST_BYTES
    assert bundle.manifest["min_runtime"] == "0.1.0"
    assert "engines" in unpack(bundle_path(name).read_bytes())["manifest.json"].decode()


@pytest.mark.parametrize("name", bundle_names())
def test_production_refuses_every_shipped_bundle(name: str) -> None:
    site = TrustedKeys(PRODUCTION, (TrustedKey("site", bytes(range(32))),))
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle_path(name), site)
    assert caught.value.reason == "development_key"


def test_a_builder_signs_with_the_key_of_a_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = SigningKey.generate("site")
    key.save(tmp_path / "site.toml")
    archive = tmp_path / "made" / f"aml{SUFFIX}"
    monkeypatch.setattr(sys, "argv", ["build", str(archive), "--key", str(tmp_path / "site.toml")])
    releasing.main("aml", _copy_of_aml)
    made = open_bundle(archive.read_bytes(), TrustedKeys(PRODUCTION, (key.trusted,)))
    assert dict(made.files) == dict(load_bundle(bundle_path("aml")).files)


def test_what_a_builder_got_wrong_is_not_written(tmp_path: Path) -> None:
    archive = tmp_path / f"aml{SUFFIX}"

    def build(directory: Path) -> None:
        _copy_of_aml(directory)
        (directory / "card.md").write_text("another card", encoding="utf-8")

    with pytest.raises(BundleError) as caught:
        releasing.release(build, archive, development_key())
    assert caught.value.reason == "hash_mismatch"
    assert not archive.exists()


def _copy_of_aml(directory: Path) -> None:
    for name, content in unpack(bundle_path("aml").read_bytes()).items():
        if name != "manifest.sig":
            (directory / name).write_bytes(content)
