"""Compressed samples of Polar PMD: a reference sample, then blocks of differences packed bit by bit.

Layout (polar-ble-sdk, ``BlePMDClient.parseDeltaFramesAll``): the reference takes whole bytes for each
channel; a block is [bits u8][count u8][packed]. The packed differences are two's complement and fill the
bytes from the least significant bit on; the bits that are left in the last byte mean nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin_adapters.ble.frame import Reader
from edge_twin_adapters.errors import AdapterError, DecodeError

Rows = NDArray[np.int64]

# The SDK adds in 32 bits, so a wider difference cannot be meant.
WIDEST_BITS = 32
_LARGEST_COUNT = 0xFF


def read_integers(raw: bytes, width: int) -> Rows:
    """Signed little-endian integers of ``width`` bytes (1 to 4); ``raw`` holds a whole number of them."""
    padded = np.zeros((len(raw) // width, 4), np.uint8)
    # The number goes to the top of the word and is shifted down again, which carries its sign.
    padded[:, 4 - width :] = np.frombuffer(raw, np.uint8).reshape(-1, width)
    words = padded.view("<i4").ravel() >> (8 * (4 - width))
    return words.astype(np.int64)


def read_compressed(reader: Reader, channels: int, width: int) -> Rows:
    """All samples of a frame, oldest first.

    Nothing is allocated that the payload does not hold: a block has at least one bit for each number.

    Args:
        reader: stands at the reference sample; it is read to the end.
        channels: numbers in a sample.
        width: bytes of a number of the reference sample.

    Returns:
        Shape [samples, channels].

    Raises:
        DecodeError: ``truncated``, or ``invalid_delta_size`` for differences of no bits or of more than 32.
    """
    blocks = [read_integers(reader.take(channels * width, "reference sample"), width).reshape(1, channels)]
    while reader.remaining:
        blocks.append(_read_block(reader, channels))
    samples: Rows = np.add.accumulate(np.concatenate(blocks))
    return samples


def _read_block(reader: Reader, channels: int) -> Rows:
    offset = reader.offset
    bits, count = reader.take(2, "delta block")
    if count and not 1 <= bits <= WIDEST_BITS:
        raise DecodeError(f"differences of {bits} bits", reason="invalid_delta_size", offset=offset)
    numbers = count * channels
    packed = reader.take((numbers * bits + 7) // 8, "differences")
    return _unpack(packed, numbers, bits).reshape(count, channels) if count else np.zeros((0, channels), np.int64)


def _unpack(packed: bytes, numbers: int, bits: int) -> Rows:
    ones = np.unpackbits(np.frombuffer(packed, np.uint8), count=numbers * bits, bitorder="little")
    return ones.reshape(numbers, bits) @ _WEIGHTS[bits]


def _weights(bits: int) -> Rows:
    """What each bit of a two's complement number counts, the lowest first."""
    weights = 1 << np.arange(bits, dtype=np.int64)
    weights[-1:] *= -1
    return weights


_WEIGHTS = tuple(_weights(bits) for bits in range(WIDEST_BITS + 1))


def write_integers(values: Sequence[int], width: int) -> bytes:
    """Signed little-endian integers of ``width`` bytes.

    Raises:
        AdapterError: ``out_of_range`` for a number that does not fit.
    """
    try:
        return b"".join(int(value).to_bytes(width, "little", signed=True) for value in values)
    except OverflowError as error:
        raise AdapterError(f"a sample does not fit {width} bytes", reason="out_of_range") from error


def write_compressed(rows: Sequence[Sequence[int]], width: int, *, block: int = _LARGEST_COUNT) -> bytes:
    """The bytes in which a sensor sends these samples, with as few bits for each block as it takes.

    Args:
        rows: samples, oldest first, each with the same number of channels.
        width: bytes of a number of the reference sample.
        block: most samples of one block, 1 to 255.

    Raises:
        AdapterError: ``out_of_range`` for a number that fits neither the reference nor 32 bits,
            ``no_samples`` without any.
    """
    if not rows or not 1 <= block <= _LARGEST_COUNT:
        raise AdapterError("a frame has a reference sample and blocks of 1 to 255", reason="no_samples")
    steps = [
        [after - before for before, after in zip(earlier, later, strict=True)] for earlier, later in pairwise(rows)
    ]
    blocks = (_write_block(steps[start : start + block]) for start in range(0, len(steps), block))
    return write_integers(rows[0], width) + b"".join(blocks)


def _write_block(steps: Sequence[Sequence[int]]) -> bytes:
    numbers = [number for step in steps for number in step]
    bits = max(_bits_of(number) for number in numbers)
    if bits > WIDEST_BITS:
        raise AdapterError("a difference does not fit 32 bits", reason="out_of_range")
    word = 0
    for number in reversed(numbers):
        word = word << bits | number & ((1 << bits) - 1)
    return bytes([bits, len(steps)]) + word.to_bytes((len(numbers) * bits + 7) // 8, "little")


def _bits_of(number: int) -> int:
    """Bits of the two's complement form, its sign included."""
    return (number if number >= 0 else ~number).bit_length() + 1


def as_float32(rows: Rows) -> NDArray[np.float64]:
    """Numbers whose low 32 bits are IEEE 754 single precision, as the SDK reads ``FLOAT_IEEE754`` streams."""
    words: NDArray[Any] = (rows & 0xFFFFFFFF).astype("<u4")
    with np.errstate(invalid="ignore"):  # a signalling NaN is refused later, like any other
        values: NDArray[np.float64] = words.view("<f4").astype(np.float64)
    return values
