"""Arrays from outside: numpy's own files come back bit for bit; what swells, hides code or is damaged is refused."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_twin.npz import MAX_EXPANDED_BYTES, read_arrays

ARRAYS = {
    "matrix": np.arange(12.0).reshape(3, 4),
    "columns": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "flags": np.array([True, False]),
    "nothing": np.empty((0, 3)),
    "one": np.float64(4.5),
    "words": np.arange(5, dtype=np.uint8),
}


def saved(*, compressed: bool = False, **arrays: Any) -> bytes:  # noqa: ANN401 - whatever numpy can save
    target = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(target, **arrays)
    return target.getvalue()


def zipped(name: str, content: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        archive.writestr(name, content)
    return target.getvalue()


def npy(array: Any) -> bytes:  # noqa: ANN401 - as above
    target = io.BytesIO()
    np.lib.format.write_array(target, array)
    return target.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_what_numpy_saves_comes_back(*, compressed: bool) -> None:
    found = read_arrays(saved(compressed=compressed, **ARRAYS))
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == np.asarray(array).dtype
        np.testing.assert_array_equal(found[name], array)
        assert not found[name].flags.writeable


@pytest.mark.parametrize(
    "content",
    [
        saved(a=np.array([{"code": 1}], dtype=object)),
        saved(a=np.array(["text"])),
        saved(a=np.zeros(2, dtype=[("x", "f8")])),
        saved(a=np.array([1j])),
        zipped("run.py", b"print()"),
        zipped("a.npy", b"no array"),
        zipped("a.npy", npy(np.zeros(3)) + b"more"),
        zipped("a.npy", npy(np.zeros(3))[:-8]),
        saved(a=np.zeros(3)) + b"tail",
        b"",
        zipped("a.npy", npy(np.zeros(3)), zipfile.ZIP_LZMA),
    ],
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"array|npz|member|number"):
        read_arrays(content)


def test_hz_bundle_09_a_compressed_bomb_is_refused_before_it_swells() -> None:
    bomb = saved(compressed=True, a=np.zeros(4 * MAX_EXPANDED_BYTES // 8))
    assert len(bomb) < MAX_EXPANDED_BYTES / 100
    with pytest.raises(ValueError, match="too large"):
        read_arrays(bomb)


def test_a_bomb_that_hides_its_size_is_refused() -> None:
    bomb = bytearray(saved(compressed=True, a=np.zeros(MAX_EXPANDED_BYTES // 4)))
    at = 30 + struct.unpack_from("<H", bomb, 26)[0] + 4  # the 64-bit sizes of the first local header
    struct.pack_into("<Q", bomb, at, 1000)
    with pytest.raises(ValueError, match="damaged"):
        read_arrays(bytes(bomb))


def test_a_header_that_claims_more_than_there_is_is_refused() -> None:
    claimed = npy(np.zeros(3)).replace(b"(3,), }            ", b"(3000000000000,), }")
    assert b"(3000000000000,)" in claimed
    with pytest.raises(ValueError, match="fill"):
        read_arrays(zipped("a.npy", claimed))


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_a_damaged_file_is_refused_or_unchanged(place: int, flip: int) -> None:
    damaged = bytearray(saved(compressed=place % 2 == 0, a=np.arange(50.0)))
    damaged[place % len(damaged)] ^= flip
    try:
        found = read_arrays(bytes(damaged))
    except ValueError:
        return
    (array,) = found.values()
    np.testing.assert_array_equal(array, np.arange(50.0))
