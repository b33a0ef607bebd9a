"""Faults of virtual sensors as data: what goes wrong, when, and with which sensor."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from edge_twin_adapters.errors import AdapterError


class FaultKind(StrEnum):
    """What can go wrong; the meaning of :attr:`Fault.amount` stands with each."""

    DROP = "drop"
    """The next ``amount`` measurements are never sent."""
    DELAY = "delay"
    """Measurements are held back for ``amount`` seconds and then sent in their order."""
    CORRUPT = "corrupt"
    """The next ``amount`` measurements lose their last byte."""
    WRONG_CRC = "wrong_crc"
    """The next ``amount`` measurements have their last byte inverted: the checksum, where there is one."""
    DISCONNECT = "disconnect"
    """The link is lost; the sensor is off the air for ``amount`` seconds."""
    LOST_BOND = "lost_bond"
    """The sensor forgets its bonds, and the link is lost; no amount."""
    CLOCK_RESET = "clock_reset"
    """The sensor's clock goes back to what it shows when it was never set; no amount."""
    STALLED_BACKFILL = "stalled_backfill"
    """The next report of stored records falls silent after ``amount`` records."""
    LOW_BATTERY = "low_battery"
    """The charge falls to ``amount`` percent."""


# Amount of each kind in a plan: assumed, and small enough that a sensor comes back.
_AMOUNTS: Mapping[FaultKind, tuple[int, int]] = MappingProxyType(
    {
        FaultKind.DROP: (1, 5),
        FaultKind.DELAY: (2, 20),
        FaultKind.CORRUPT: (1, 3),
        FaultKind.WRONG_CRC: (1, 3),
        FaultKind.DISCONNECT: (0, 120),
        FaultKind.LOST_BOND: (0, 0),
        FaultKind.CLOCK_RESET: (0, 0),
        FaultKind.STALLED_BACKFILL: (1, 4),
        FaultKind.LOW_BATTERY: (1, 15),
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        at_s: seconds from the start of the simulation.
        kind: what goes wrong.
        sensor: name of the sensor.
        amount: see :class:`FaultKind`.

    Raises:
        AdapterError: ``bad_fault`` for a time or an amount below zero.
    """

    at_s: float
    kind: FaultKind
    sensor: str
    amount: float = 1.0

    def __post_init__(self) -> None:
        if self.at_s < 0 or self.amount < 0:
            raise AdapterError(f"a fault at {self.at_s} s with amount {self.amount}", reason="bad_fault")


def plan_faults(
    rng: random.Random, seconds: float, wanted: Mapping[FaultKind, tuple[int, Sequence[str]]]
) -> tuple[Fault, ...]:
    """Faults at random times, in order of time.

    Args:
        rng: seeded.
        seconds: length of the simulation; nothing happens in its first and last twentieth.
        wanted: for each kind how many faults, and the sensors among which they fall.

    Raises:
        AdapterError: ``bad_fault`` for a kind that is wanted and has no sensor.
    """
    faults: list[Fault] = []
    for kind, (count, sensors) in wanted.items():
        if count and not sensors:
            raise AdapterError(f"no sensor for {kind.value}", reason="bad_fault")
        faults += [_draw(rng, seconds, kind, sensors) for _ in range(count)]
    return tuple(sorted(faults, key=lambda fault: fault.at_s))


def _draw(rng: random.Random, seconds: float, kind: FaultKind, sensors: Sequence[str]) -> Fault:
    at_s = rng.uniform(0.05 * seconds, 0.95 * seconds)
    return Fault(at_s, kind, rng.choice(sensors), float(rng.randint(*_AMOUNTS[kind])))
