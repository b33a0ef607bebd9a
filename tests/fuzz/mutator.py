"""A mutator without coverage feedback, for machines without atheris: it changes seeds blindly and keeps nothing."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

HANG_S = 5.0
_EDGES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)


class HangError(Exception):
    """One input took longer than :data:`HANG_S`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that broke a bar, what escaped, and after how many executions."""

    data: bytes
    error: BaseException
    executions: int


def mutate(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """``data`` with one to four changes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        rng.choice(_CHANGES)(changed, others, rng)
    return bytes(changed)


def _flip(data: bytearray, _: Sequence[bytes], rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _edge(data: bytearray, _: Sequence[bytes], rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice(_EDGES)


def _any(data: bytearray, _: Sequence[bytes], rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _insert(data: bytearray, _: Sequence[bytes], rng: random.Random) -> None:
    at = rng.randint(0, len(data))
    data[at:at] = rng.randbytes(rng.randint(1, 8))


def _cut(data: bytearray, _: Sequence[bytes], rng: random.Random) -> None:
    del data[rng.randint(0, len(data)) :]


def _splice(data: bytearray, others: Sequence[bytes], rng: random.Random) -> None:
    other = rng.choice(others)
    data[rng.randint(0, len(data)) :] = other[rng.randint(0, len(other)) :]


def _grow(data: bytearray, _: Sequence[bytes], rng: random.Random) -> None:
    data.extend(rng.randbytes(rng.choice((1, 2, 4, 64, 512))))


_CHANGES: tuple[Callable[[bytearray, Sequence[bytes], random.Random], None], ...] = (
    _flip,
    _edge,
    _any,
    _insert,
    _cut,
    _splice,
    _grow,
)


def inputs(seeds: Sequence[bytes], rng: random.Random) -> Iterator[bytes]:
    """The seeds, then changed ones without end."""
    yield from seeds
    while True:
        yield mutate(rng.choice(seeds), seeds, rng)


def search(
    run_one: Callable[[bytes], None], seeds: Sequence[bytes], *, seed: int, executions: int, seconds: float
) -> Finding | int:
    """Run until something escapes: the finding, or the number of executions that went well.

    Args:
        run_one: the code under test.
        seeds: inputs to begin with.
        seed: of the mutations.
        executions, seconds: whichever comes first ends the search.
    """
    end = time.monotonic() + seconds
    rng = random.Random(seed)  # noqa: S311 - mutations, not secrets
    done = 0
    with _alarm():
        for data in inputs(seeds, rng):
            if done >= executions or time.monotonic() >= end:
                break
            done += 1
            if (error := _escaped(run_one, data)) is not None:
                return Finding(data, error, done)
    return done


def _escaped(run_one: Callable[[bytes], None], data: bytes) -> BaseException | None:
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        run_one(data)
    except Exception as error:  # noqa: BLE001 - whatever escapes is the finding
        return error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    return None


@contextmanager
def _alarm() -> Iterator[None]:
    def late(_number: int, _frame: FrameType | None) -> None:
        raise HangError(f"longer than {HANG_S:g} s")

    before = signal.signal(signal.SIGALRM, late)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
