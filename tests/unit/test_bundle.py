from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_twin.archive import SIGNATURE, unpack
from edge_twin.bundle import (
    SCHEMA,
    Bundle,
    load_bundle,
    members_outside,
    outside_envelope,
    parse_manifest,
    prior_sample,
)
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin_models import bundle_names, bundle_path

Change = Callable[[dict[str, Any]], None]
SHIPPED = bundle_path("neutropenia")
FILES = {name: data for name, data in unpack(SHIPPED.read_bytes()).items() if name != SIGNATURE}


@pytest.fixture(name="shipped", scope="module")
def _shipped() -> Bundle:
    return load_bundle(SHIPPED)


@pytest.fixture(name="copied")
def _copied(tmp_path: Path) -> Path:
    """The directory from which the shipped bundle was signed."""
    return written(tmp_path / "bundle")


def written(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    for name, content in FILES.items():
        (directory / name).write_bytes(content)
    return directory


def rewrite(directory: Path, change: Change) -> None:
    """Edit the manifest in place."""
    path = directory / "manifest.json"
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def reason_of(directory: Path) -> str:
    with pytest.raises(BundleError) as caught:
        load_bundle(directory)
    return caught.value.reason


def test_shipped_bundle_holds_the_named_row(shipped: Bundle) -> None:
    assert "neutropenia" in bundle_names()
    assert shipped.parameter_names == ("circ0", "mtt", "slope", "gamma")
    assert [p.typical for p in shipped.parameters] == [5.21965, 84.1791, 15.5711, 0.144543]
    assert [p.omega2 for p in shipped.parameters] == [0.0640, 0.0192, 0.1284, 0.0]
    assert {p.mark for p in shipped.parameters} == {"P"}
    assert shipped.residual_log_sd == 0.424
    assert (shipped.outputs[0].code, shipped.outputs[0].unit) == ("751-8", "10*9/L")
    assert shipped.expires == datetime(2028, 11, 25, tzinfo=UTC)
    assert "DDMODEL00000224" in shipped.card
    assert "not been validated on measured patients" in shipped.card


def test_unknown_shipped_bundle_is_refused() -> None:
    with pytest.raises(BundleError) as caught:
        bundle_path("../friberg.py")
    assert caught.value.reason == "bundle_unknown"


@pytest.mark.parametrize("name", ["card.md", "golden.npz", "model.onnx"])
def test_one_changed_byte_is_refused(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    assert reason_of(copied) == "hash_mismatch"


@pytest.mark.parametrize("name", ["manifest.json", "card.md", "golden.npz", "model.onnx"])
def test_a_missing_file_is_refused(copied: Path, name: str) -> None:
    (copied / name).unlink()
    assert reason_of(copied) == "missing_file"


@pytest.mark.parametrize("name", ["extra.txt", "nested/extra.bin", ".hidden"])
def test_an_unlisted_file_is_refused(copied: Path, name: str) -> None:
    (copied / name).parent.mkdir(exist_ok=True)
    (copied / name).write_bytes(b"")
    assert reason_of(copied) == "unlisted_file"


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/hostname", "a/../../outside", "..\\outside", "C:outside", "manifest.json", ".", ""]
)
def test_a_path_that_leaves_the_bundle_is_refused(copied: Path, name: str) -> None:
    (copied.parent / "outside").write_bytes(b"")
    rewrite(copied, lambda document: document["files"].update({name: hashlib.sha256(b"").hexdigest()}))
    assert reason_of(copied) == "path_outside"


def test_a_link_out_of_the_bundle_is_refused(copied: Path) -> None:
    outside = copied.parent / "outside.md"
    outside.write_bytes((copied / "card.md").read_bytes())
    (copied / "card.md").unlink()
    (copied / "card.md").symlink_to(outside)
    assert reason_of(copied) == "path_outside"


@pytest.mark.parametrize("schema", ["edge_twin.bundle/2", None, 1, ""])
def test_an_unknown_schema_is_refused(copied: Path, schema: object) -> None:
    rewrite(copied, lambda document: document.update(schema=schema))
    assert reason_of(copied) == "schema_unsupported"


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("id"),
        lambda d: d.update(version=0),
        lambda d: d.update(version=True),
        lambda d: d.update(created="2026-11-25T00:00:00"),
        lambda d: d.update(expires="soon"),
        lambda d: d.update(expires=d["created"]),
        lambda d: d.update(parameters=[]),
        lambda d: d["parameters"].append(d["parameters"][0]),
        lambda d: d["parameters"][0].update(mark="X"),
        lambda d: d["parameters"][0].update(low=6.0),
        lambda d: d["parameters"][0].update(high=5.0),
        lambda d: d["parameters"][0]["prior"].update(omega2=-0.1),
        lambda d: d["parameters"][0]["prior"].update(kind="normal"),
        lambda d: d["pharmacokinetics"].update(rate_matrix_per_day=[[1.0], [1.0, 2.0]]),
        lambda d: d["pharmacokinetics"].update(volume_l=0.0),
        lambda d: d.update(residual_log_sd=float("nan")),
        lambda d: d["engine"].update(max_step_days=0),
        lambda d: d["engine"].update(golden="absent.npz"),
        lambda d: d.update(min_runtime="1.2"),
        lambda d: d.update(min_runtime="1.2.x"),
        lambda d: d.update(engines=[]),
        lambda d: d.update(engines=["numpy", "numpy"]),
        lambda d: d.update(engines="numpy"),
        lambda d: d.update(files=[]),
        lambda d: d["files"].update({"card.md": 1}),
        lambda d: d.update(residual_log_sd=10**400),
    ],
)
def test_a_malformed_manifest_is_refused(copied: Path, change: Change) -> None:
    rewrite(copied, change)
    assert reason_of(copied) == "malformed"


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_an_object_is_refused(copied: Path, content: bytes) -> None:
    (copied / "manifest.json").write_bytes(content)
    assert reason_of(copied) == "malformed"


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(content: bytes) -> None:
    with pytest.raises(BundleError) as caught:
        parse_manifest(content)
    assert caught.value.reason in {"malformed", "schema_unsupported"}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_any_value_anywhere_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    document = json.loads(FILES["manifest.json"])
    mutated = copy.deepcopy(document)
    place: Any = mutated
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(JSON_VALUES)
    directory = written(tmp_path_factory.mktemp("mutated"))
    (directory / "manifest.json").write_text(json.dumps(mutated), encoding="utf-8")
    with contextlib.suppress(BundleError):
        assert load_bundle(directory).manifest["schema"] == SCHEMA


def with_golden(directory: Path, content: bytes) -> Bundle:
    (directory / "golden.npz").write_bytes(content)
    rewrite(directory, lambda d: d["files"].update({"golden.npz": hashlib.sha256(content).hexdigest()}))
    return load_bundle(directory)


def npz(**arrays: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip",
        npz(steps=np.zeros((1, 2))),
        npz(log_parameters=np.zeros((2, 4)), steps=np.zeros((3, 2)), output=np.zeros((3, 2))),
        npz(log_parameters=np.array([{}], dtype=object), steps=np.zeros((3, 2)), output=np.zeros((3, 2))),
    ],
    ids=["empty", "text", "incomplete", "shapes", "pickle"],
)
def test_golden_vectors_that_cannot_be_read_are_refused(copied: Path, content: bytes) -> None:
    bundle = with_golden(copied, content)
    with pytest.raises(BundleError) as caught:
        bundle.golden()
    assert caught.value.reason == "malformed"


def test_prior_sample_has_the_moments_of_the_row(shipped: Bundle) -> None:
    sample = prior_sample(shipped, 10_000, seed=3)
    typical = np.log([p.typical for p in shipped.parameters])
    np.testing.assert_allclose(sample.mean(axis=0), typical, rtol=1e-12)
    np.testing.assert_allclose(sample.var(axis=0), [p.omega2 for p in shipped.parameters], rtol=0.05, atol=1e-20)


def test_prior_sample_is_seeded_and_may_be_odd(shipped: Bundle) -> None:
    np.testing.assert_array_equal(prior_sample(shipped, 7, 1), prior_sample(shipped, 7, 1))
    assert prior_sample(shipped, 7, 1).shape == (7, 4)
    assert (prior_sample(shipped, 7, 1)[:, :3] != prior_sample(shipped, 7, 2)[:, :3]).all()


def test_the_envelope_names_what_lies_outside(shipped: Bundle) -> None:
    inside = prior_sample(shipped, 4, 1)
    weekly = [DoseEvent(0.0, 60.0, 0.04), DoseEvent(7.0, 60.0, 0.04)]
    assert outside_envelope(shipped, inside, weekly, 180.0) == ()
    wild = inside.copy()
    wild[2, 1] = np.log(161.0)
    wild[3, 2] = np.nan
    assert outside_envelope(shipped, wild) == ("parameter:mtt", "parameter:slope")
    assert members_outside(shipped, wild).tolist() == [False, False, True, True]
    doses = [DoseEvent(0.0, 251.0), DoseEvent(6.9, 50.0, 1.1)]
    assert outside_envelope(shipped, None, doses, 367.0) == (
        "dose_amount",
        "infusion_length",
        "dose_interval",
        "dose_density",
        "horizon",
    )
    assert outside_envelope(shipped, None, [DoseEvent(0.0, float("nan"))]) == ("dose_amount", "dose_density")


def test_the_envelope_limits_three_weeks_together(shipped: Bundle) -> None:
    weekly = [DoseEvent(7.0 * week, 100.0) for week in range(10)]
    assert outside_envelope(shipped, None, weekly) == ()
    assert outside_envelope(shipped, None, [*weekly, DoseEvent(70.0, 101.0)]) == ("dose_density",)
    assert outside_envelope(shipped, None, [DoseEvent(21.0 * cycle, 250.0) for cycle in range(8)]) == ()
