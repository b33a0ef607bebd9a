"""``edge-twin devices``: sensors over Bluetooth LE, real and virtual."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge_twin_app.device import system_clock
from edge_twin_app.devices.radio import air
from edge_twin_app.devices.scan import Sighting, scan
from edge_twin_app.devices.table import write_rows

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers

Run = Callable[[argparse.Namespace], int]


def add_to(commands: Subparsers) -> None:
    """Declare the command and its own commands."""
    parser = commands.add_parser("devices", help="sensors over Bluetooth LE: scan, pair, list, stream, doctor")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = _action(actions, "scan", run_scan, "who advertises, and what it says without a connection")
    _virtual(one)
    _seconds(one, 10.0, "how long to listen")


def _action(actions: Subparsers, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    parser.set_defaults(run=run)
    return parser


def _virtual(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--virtual", action="store_true", help="virtual sensors inside this process, no hardware")


def _seconds(parser: argparse.ArgumentParser, default: float | None, text: str) -> None:
    parser.add_argument("--seconds", type=positive_seconds, default=default, help=text)


def positive_seconds(text: str) -> float:
    """A time limit: finite and above zero.

    Raises:
        ArgumentTypeError: it is not.
    """
    try:
        seconds = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from error
    if not 0.0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("seconds must be above zero and finite")
    return seconds


def run_scan(options: argparse.Namespace) -> int:
    """Print who advertises; exit status 1 when nobody does."""
    found = asyncio.run(_scan(options))
    columns = ("address", "name", "rssi_dbm", "profiles", "readings", "refused")
    rows = [sighting.row() for sighting in found]
    write_rows(rows, as_json=options.json, columns=columns, nothing="nothing advertises")
    return 0 if found else 1


async def _scan(options: argparse.Namespace) -> list[Sighting]:
    async with air(virtual=options.virtual) as radio:
        return await scan(radio.backends, options.seconds, system_clock)
