"""``edge-twin run``: the device; without settings, the embedded demonstration."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_twin_app.device import Device
from edge_twin_app.errors import AppError
from edge_twin_app.settings import load_settings

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("run", help="the runtime; without --settings the embedded demonstration (24 days)")
    parser.add_argument("--settings", type=Path, help="settings of a site (docs/formats.md); runs until ended")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder of the demonstration")
    parser.add_argument(
        "--broker", type=address, metavar="HOST:PORT", help="a broker of yours instead of the embedded one"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def address(text: str) -> tuple[str, int]:
    """``HOST:PORT`` as a pair."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def run(options: argparse.Namespace) -> int:
    """Run the device or the demonstration."""
    if options.settings:
        return asyncio.run(_run_site(options.settings))
    return _demonstrate(options)


async def _run_site(path: Path) -> int:
    """Run until SIGINT or SIGTERM, then let the sources end and the outbox settle."""
    with Device(load_settings(path)) as device:
        running = asyncio.ensure_future(device.run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: asyncio.ensure_future(device.end_sources()))
        await running
    return 0


def _demonstrate(options: argparse.Namespace) -> int:
    try:
        from edge_twin_app.demonstration.show import demonstrate  # noqa: PLC0415 - needs the `demo` extra
    except ImportError as error:
        raise AppError(f"the demonstration needs the extra 'demo': {error}", reason="extra_missing") from error
    summary, page = demonstrate(options.out, options.broker, quiet=options.quiet)
    _tell(summary, page)
    return 0


def _tell(summary: dict[str, object], page: Path) -> None:
    """What a person wants to know at the end: the flags, the sync account, where the report is."""
    document = json.loads(json.dumps(summary))
    for flag in document["flags"]:
        until = f", withdrawn {flag['withdrawn'][:16]}" if flag["withdrawn"] else ""
        sys.stdout.write(f"{flag['time'][:16]}  {flag['urgency']:<9} {flag['kind']}{until}\n")
    sync = document["sync"]
    sys.stdout.write(
        f"sync: {sync['produced']} messages produced, {sync['stored']} stored at the centre, "
        f"{sync['pending']} pending, {sync['lost']} lost\n"
        f"course played in {document['elapsed_s']:.0f} s; summary: {page.parent / 'summary.json'}\nreport: {page}\n"
    )
