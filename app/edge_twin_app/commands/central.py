"""``edge-twin central``: the central gateway until it is told to end."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_twin_sync import gateway

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("central", help="the central gateway: verify, de-duplicate, store, acknowledge")
    parser.add_argument("--database", type=Path, required=True, help="SQLite file of the centre")
    parser.add_argument("--centre", type=Path, required=True, help="folder with the centre's keys and device registry")
    parser.add_argument("--broker", required=True, metavar="HOST:PORT", help="MQTT 5 broker")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Hand over to the gateway."""
    arguments = ["--database", str(options.database), "--centre", str(options.centre), "--broker", options.broker]
    return gateway.main(arguments)
