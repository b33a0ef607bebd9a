"""Every attack on a bundle is refused under a name of its own."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import archive
from edge_twin.archive import SIGNATURE, pack, unpack
from edge_twin.bundle import open_bundle
from edge_twin.errors import BundleError
from tests.bundle_forgery import MEMBERS, SHIPPED, STRANGER, TRUSTED, refusal, signed, zipped

ATTACKS: dict[str, Callable[[], bytes]] = {
    "path_outside": lambda: zipped({**MEMBERS, "../outside": b""}),
    "member_too_large": lambda: zipped({**MEMBERS, "big": bytes(archive.MAX_MEMBER_BYTES + 1)}),
    "archive_too_large": lambda: bytes(archive.MAX_ARCHIVE_BYTES + 1),
    "too_many_members": lambda: zipped({f"file{n}": b"" for n in range(archive.MAX_MEMBERS + 1)}),
    "member_compressed": lambda: zipped({**MEMBERS, "z": bytes(10**6)}, compress_type=zipfile.ZIP_DEFLATED),
    "member_duplicate": lambda: zipped({**MEMBERS, "CARD.md": b""}),  # differs only in case
    "member_is_link": lambda: zipped({**MEMBERS, "zlink": b"/etc/passwd"}, external_attr=0o120777 << 16),
    "archive_truncated": lambda: SHIPPED[: len(SHIPPED) // 2],
    "archive_malformed": lambda: b"#!/bin/sh",
    "archive_not_canonical": lambda: SHIPPED + b"tail",
    "unlisted_file": lambda: signed({**MEMBERS, "extra.py": b"import os"}),
    "missing_file": lambda: pack({n: c for n, c in unpack(signed(MEMBERS)).items() if n != "card.md"}),
    "hash_mismatch": lambda: pack({**unpack(signed(MEMBERS)), "card.md": b"another card"}),
    "signature_missing": lambda: pack({n: c for n, c in MEMBERS.items() if n != SIGNATURE}),
    "signature_malformed": lambda: pack({**MEMBERS, SIGNATURE: b"short"}),
    "signature_invalid": lambda: signed(MEMBERS, key=STRANGER),
    "development_key": lambda: SHIPPED,
    "bundle_expired": lambda: signed(MEMBERS, lambda d: d.update(expires="2026-11-26T00:00:00+00:00")),
    "runtime_too_old": lambda: signed(MEMBERS, lambda d: d.update(min_runtime="9.0.0")),
    "schema_unsupported": lambda: signed(MEMBERS, lambda d: d.update(schema="edge_twin.bundle/9")),
    "malformed": lambda: signed(MEMBERS, lambda d: d.update(version=0)),
}


@pytest.mark.parametrize("reason", ATTACKS)
def test_hz_bundle_01_each_attack_is_refused_by_its_own_name(reason: str) -> None:
    assert refusal(ATTACKS[reason](), now=datetime(2027, 1, 1, tzinfo=UTC)) == reason


@given(st.integers(40, len(SHIPPED) - 1))
def test_hz_bundle_01_a_truncated_archive_is_called_that(length: int) -> None:
    assert refusal(SHIPPED[:length]) in {"archive_truncated", "archive_malformed"}


def test_hz_bundle_01_a_bomb_inside_an_array_file_does_not_swell() -> None:
    target = io.BytesIO()
    np.savez_compressed(
        target, log_parameters=np.zeros((10**6, 4)), steps=np.zeros((1, 2)), output=np.zeros((2, 10**6))
    )
    content = target.getvalue()
    assert len(content) < 100_000
    digest = hashlib.sha256(content).hexdigest()
    bundle = open_bundle(
        signed({**MEMBERS, "golden.npz": content}, lambda d: d["files"].update({"golden.npz": digest})), TRUSTED
    )
    with pytest.raises(BundleError) as caught:
        bundle.golden()
    assert caught.value.reason == "malformed"
