"""Where a command finds a device's store: the settings of a site, or the file itself."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_twin.flags.alarm_rules import AlarmRules, alarm_rules
from edge_twin_app.settings import load_settings

LARGEST = 1e6  # hours or seconds that an argument may ask for


@dataclass(frozen=True)
class Place:
    """A device's store.

    Attributes:
        store: database file; it need not exist.
        zone: the patient's.
        rules: of the life of a flag, with what the site's program states.
    """

    store: Path
    zone: ZoneInfo
    rules: AlarmRules


def add_place(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--settings", type=Path, help="settings of a site: its store, program and time zone")
    place.add_argument("--store", type=Path, help="database file of the device, with the rules that ship")
    parser.add_argument("--time-zone", type=ZoneInfo, default=ZoneInfo("UTC"), help="IANA zone, with --store")


def place_of(options: argparse.Namespace) -> Place:
    """The place that the arguments name."""
    if options.settings is None:
        return Place(options.store, options.time_zone, alarm_rules())
    settings = load_settings(options.settings)
    return Place(settings.store, ZoneInfo(settings.time_zone), alarm_rules(settings.program))


def positive(text: str) -> float:
    """A finite number above 0."""
    number = float(text)
    if not 0.0 < number < LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number
