"""``edge-twin watch``: says that nobody looks when the runtime has stopped; a process of its own.

It reads the store without ever writing to it, so it works while the runtime is dead, killed or hanging.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge_twin.deadman import Heartbeat, check
from edge_twin.errors import ObservationError, StoreError
from edge_twin.flag import Flag
from edge_twin.jsonform import canonical
from edge_twin.observation import as_utc
from edge_twin.store_times import from_us
from edge_twin_app.commands.place import add_place, place_of, positive
from edge_twin_app.device import system_clock

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers

STOPPED = 3  # exit status: the runtime does not look
EVERY_SECONDS = 60.0


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("watch", help="say when the runtime has stopped; exit status 3 when it has")
    add_place(parser)
    parser.add_argument("--once", action="store_true", help="look once and end (for a timer)")
    parser.add_argument("--every", type=positive, default=EVERY_SECONDS, metavar="SECONDS", help="between two looks")
    parser.add_argument("--at", type=moment, metavar="TIME", help="judge at this moment instead of now (for a drill)")
    parser.add_argument("--json", action="store_true", help="the flag as JSON, one line")
    parser.set_defaults(run=run)


def moment(text: str) -> datetime:
    """An ISO 8601 time with offset."""
    try:
        return as_utc(datetime.fromisoformat(text))
    except (ValueError, ObservationError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time with an offset") from error


def run(options: argparse.Namespace) -> int:
    """Look once, or until interrupted; a notice is printed when it changes."""
    place = place_of(options)
    told: Flag | None = None
    while True:
        found = check(read_heartbeat(place.store), options.at or system_clock(), place.zone, place.rules)
        if found != told:
            sys.stdout.write(_notice(found, as_json=options.json))
            sys.stdout.flush()
        told = found
        if options.once:
            return STOPPED if found else 0
        time.sleep(options.every)


def _notice(flag: Flag | None, *, as_json: bool) -> str:
    if as_json:
        return f"{canonical(flag).decode()}\n"
    if flag is None:
        return "runtime: looking again\n"
    return f"runtime: stopped [{flag.urgency}] {flag.action} {flag.reason}\n"


def read_heartbeat(path: Path) -> Heartbeat | None:
    """The newest heartbeat in a store, without writing; None when there is no store or no step was ever completed.

    Raises:
        StoreError: ``unavailable`` when the file is there and cannot be read.
    """
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30.0)) as connection:
            row = connection.execute("SELECT step_us, expected_us FROM heartbeat").fetchone()
    except sqlite3.Error as error:
        if "no such table" in str(error):
            return None
        raise StoreError(f"cannot read {path.name}: {error}", reason="unavailable") from error
    return None if row is None else Heartbeat(from_us(row[0]), from_us(row[1]))
