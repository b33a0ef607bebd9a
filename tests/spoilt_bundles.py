"""Shipped bundles with one thing spoilt: what the tests of their refusal share."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_twin.archive import MANIFEST, SIGNATURE, unpack
from edge_twin.bundle import Bundle, load_bundle
from edge_twin.errors import BundleError
from edge_twin_models import bundle_path

Change = Callable[[dict[str, Any]], object]
LIBRARIES = ("scipy", "torch", "onnx", "onnxruntime", "ai_edge_litert")


def reason_of(action: Callable[[], object]) -> str:
    """Reason of the refusal, which must come."""
    with pytest.raises(BundleError) as caught:
        action()
    return caught.value.reason


def changed_npz(content: bytes, change: Change) -> bytes:
    """An npz file after a change of its arrays by name."""
    with np.load(io.BytesIO(content)) as loaded:
        arrays: dict[str, Any] = {name: loaded[name] for name in loaded.files}
    change(arrays)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def changed_bundle(name: str, directory: Path, manifest: Change, file: str, arrays: Change) -> Bundle:
    """The shipped bundle ``name``, unsigned, after changes of its manifest and of the arrays in ``file``."""
    files = unpack(bundle_path(name).read_bytes())
    del files[SIGNATURE]
    files[file] = changed_npz(files[file], arrays)
    document: dict[str, Any] = json.loads(files.pop(MANIFEST))
    manifest(document)
    document["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    for member, content in {**files, MANIFEST: json.dumps(document).encode()}.items():
        (directory / member).write_bytes(content)
    return load_bundle(directory)


def changed_golden(bundle: Bundle, change: Change) -> Bundle:
    """The opened bundle with other golden vectors."""
    golden = changed_npz(bundle.files["golden.npz"], change)
    return dataclasses.replace(bundle, files={**bundle.files, "golden.npz": golden})


def libraries_after(program: str) -> list[str]:
    """Which of ``LIBRARIES`` a fresh interpreter has imported after the program."""
    report = f"import sys; print(*(name for name in {LIBRARIES!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", f"{program}; {report}"], capture_output=True, text=True, check=True)
    return done.stdout.split()
