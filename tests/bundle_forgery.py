"""Bundle archives made right and wrong: what the tests of their refusal share."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pytest

from edge_twin.archive import MANIFEST, SIGNATURE, pack, unpack
from edge_twin.bundle import open_bundle
from edge_twin.errors import BundleError
from edge_twin.signing import BUNDLE_TYPE, PRODUCTION, SigningKey, TrustedKeys
from edge_twin_models import bundle_path

SHIPPED = bundle_path("neutropenia").read_bytes()
MEMBERS = unpack(SHIPPED)
SITE = SigningKey("clinic", bytes(range(32)))
STRANGER = SigningKey("stranger", bytes(range(1, 33)))
TRUSTED = TrustedKeys(PRODUCTION, (SITE.trusted,))
Change = Callable[[dict[str, Any]], object]


def refusal(content: bytes, trusted: TrustedKeys = TRUSTED, now: datetime | None = None) -> str:
    """Reason for which the archive does not open."""
    with pytest.raises(BundleError) as caught:
        open_bundle(content, trusted, now)
    return caught.value.reason


def signed(members: Mapping[str, bytes], change: Change = lambda _: None, key: SigningKey = SITE) -> bytes:
    """The members with another manifest, correctly signed by ``key``."""
    document = json.loads(members[MANIFEST])
    change(document)
    manifest = json.dumps(document).encode()
    return pack({**members, MANIFEST: manifest, SIGNATURE: key.sign(BUNDLE_TYPE, manifest)})


def zipped(members: Mapping[str, bytes], **attributes: int) -> bytes:
    """Written by Python's zipfile in the canonical order, with any attribute of its entries changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.create_version, info.extract_version = 3, 10, 10
            info.external_attr = 0o100644 << 16
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            file.writestr(info, content)
    return buffer.getvalue()
