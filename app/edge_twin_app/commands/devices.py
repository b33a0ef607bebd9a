"""``edge-twin devices``: sensors over Bluetooth LE, real and virtual."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from edge_twin_app import device_simulation
from edge_twin_app.device import system_clock
from edge_twin_app.devices.findings import RADIO, findings
from edge_twin_app.devices.known import known_rows, remember_bond
from edge_twin_app.devices.pairing import Pairing, pairing_desk, step_rows, typed_passkey
from edge_twin_app.devices.radio import Air, air
from edge_twin_app.devices.scan import Sighting, scan
from edge_twin_app.devices.streaming import JsonLines, LiveTable, sources, watch
from edge_twin_app.devices.table import write_rows
from edge_twin_app.engine_findings import Finding
from edge_twin_app.errors import AppError
from edge_twin_app.settings import Sensor, Settings, load_settings

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers

Run = Callable[[argparse.Namespace], int]


def add_to(commands: Subparsers) -> None:
    """Declare the command and its own commands."""
    parser = commands.add_parser(
        "devices", help="sensors over Bluetooth LE: scan, pair, list, stream, simulate, doctor"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = _action(actions, "scan", run_scan, "who advertises, and what it says without a connection")
    _virtual(one)
    _speed(one)
    _seconds(one, 10.0, "how long to listen")
    one = _action(actions, "pair", run_pair, "pair, and prove that the link is encrypted")
    one.add_argument("sensor", metavar="KIND=ADDRESS", help="with --virtual or --settings the kind is enough")
    one.add_argument("--protected", metavar="UUID", help="a value that the manual calls protected, as the proof")
    one.add_argument("--passkey", action="store_true", help="the sensor shows a number, which is asked for here")
    _settings(one, "keep in the database of these settings that the sensor is paired")
    _virtual(one)
    _seconds(one, 120.0, "longest wait for all of it")
    one = _action(actions, "list", run_list, "the sensors of a site: last seen, battery, wear, link")
    one.add_argument("settings", type=Path, metavar="SETTINGS")
    one = _action(actions, "stream", run_stream, "what the sensors say, live; Ctrl-C stops them in order")
    one.add_argument("sensors", nargs="*", metavar="KIND=ADDRESS", help="with --virtual the kind is enough")
    _settings(one, "read the sensors of these settings")
    _virtual(one)
    _speed(one)
    _seconds(one, None, "how long (until Ctrl-C unless given)")
    simulation = _action(
        actions, "simulate", device_simulation.run, "virtual sensors and the real client: an account of every record"
    )
    device_simulation.add_arguments(simulation)
    one = _action(actions, "doctor", run_doctor, "what Bluetooth needs on this machine, and why it does not work")
    _seconds(one, 60.0, "longest wait for all of it")


def _action(actions: Subparsers, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    parser.set_defaults(run=run)
    return parser


def _virtual(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--virtual", action="store_true", help="virtual sensors inside this process, no hardware")


def _speed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--speed", type=positive, default=1.0, help="of virtual sensors: simulated seconds in a second (1)"
    )


def _seconds(parser: argparse.ArgumentParser, default: float | None, text: str) -> None:
    parser.add_argument("--seconds", type=positive, default=default, help=text)


def _settings(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--settings", type=Path, metavar="FILE", help=text)


def positive(text: str) -> float:
    """A number that is finite and above zero.

    Raises:
        ArgumentTypeError: it is not.
    """
    try:
        number = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from error
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError("it must be above zero and finite")
    return number


def run_scan(options: argparse.Namespace) -> int:
    """Print who advertises; exit status 1 when nobody does."""
    found = asyncio.run(_scan(options))
    columns = ("address", "name", "rssi_dbm", "profiles", "readings", "refused")
    rows = [sighting.row() for sighting in found]
    write_rows(rows, as_json=options.json, columns=columns, nothing="nothing advertises")
    return 0 if found else 1


async def _scan(options: argparse.Namespace) -> list[Sighting]:
    async with air(virtual=options.virtual, speed=options.speed) as radio:
        return await scan(radio.backends, options.seconds, radio.clock)


def run_stream(options: argparse.Namespace) -> int:
    """Show what the sensors say; exit status 1 when the link to one of them never came up."""
    return 0 if asyncio.run(_stream(options)) else 1


async def _stream(options: argparse.Namespace) -> bool:
    settings = None if options.settings is None else load_settings(options.settings)
    zone = None if settings is None else ZoneInfo(settings.time_zone)
    async with air(virtual=options.virtual, speed=options.speed) as radio:
        chosen = chosen_sensors(options.sensors, settings, radio)
        display = JsonLines() if options.json else LiveTable()
        return await watch(sources(chosen, radio, zone), radio, options.seconds, display)


def chosen_sensors(asked: Sequence[str], settings: Settings | None, radio: Air) -> list[Sensor]:
    """The sensors that a command is about.

    Args:
        asked: ``KIND=ADDRESS`` each, or only the kind of one that is known already.
        settings: of the site, or None.
        radio: knows its virtual sensors.

    Raises:
        AppError: ``no_sensors`` or ``unknown_sensor``.
    """
    known = [*(settings.sensors if settings else ()), *radio.sensors]
    chosen = [_sensor(text, known) for text in asked] or known
    if not chosen:
        raise AppError("name a sensor as KIND=ADDRESS, or give --settings or --virtual", reason="no_sensors")
    return chosen


def _sensor(text: str, known: Sequence[Sensor]) -> Sensor:
    kind, given, address = text.partition("=")
    if given and address:
        return Sensor(kind, address)
    for sensor in known:
        if sensor.kind == kind:
            return sensor
    raise AppError(f"no address of a {kind!r} is known: write {kind}=ADDRESS", reason="unknown_sensor")


def run_pair(options: argparse.Namespace) -> int:
    """Pair and tell each step; exit status 1 unless the link was proved to be encrypted."""
    pairing = asyncio.run(_pair(options))
    rows = step_rows(pairing.steps)
    write_rows(rows, as_json=options.json, columns=("step", "works", "detail"), nothing="nothing was tried")
    return 0 if pairing.proved else 1


async def _pair(options: argparse.Namespace) -> Pairing:
    settings = None if options.settings is None else load_settings(options.settings)
    async with _within(options.seconds), air(virtual=options.virtual, protected=True) as radio:
        (sensor,) = chosen_sensors([options.sensor], settings, radio)
        pairing = Pairing(radio, sensor.address, options.protected)
        async with pairing_desk(radio, passkey=options.passkey) as desk:
            await pairing.run(desk, typed_passkey() if options.passkey else None)
    if pairing.proved and settings is not None:
        remember_bond(settings, sensor)
    return pairing


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """A time limit for a command.

    Raises:
        AppError: ``timed_out``.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise AppError(f"not done within {seconds:g} s", reason="timed_out") from error


def run_list(options: argparse.Namespace) -> int:
    """Print the sensors of the settings; exit status 1 when there are none."""
    rows = known_rows(load_settings(options.settings), system_clock())
    columns = ("device", "address", "bonded", "last_seen", "battery_percent", "wear", "connections", "losses", "gaps")
    write_rows(rows, as_json=options.json, columns=columns, nothing="the settings name no sensor")
    return 0 if rows else 1


def run_doctor(options: argparse.Namespace) -> int:
    """Look at everything that Bluetooth needs; exit status 1 when a scan cannot be started."""
    found = asyncio.run(_doctor(options.seconds))
    rows = [finding._asdict() for finding in found]
    write_rows(rows, as_json=options.json, columns=("name", "works", "detail"), nothing="nothing was looked at")
    return 0 if all(finding.works for finding in found if finding.name == RADIO) else 1


async def _doctor(seconds: float) -> list[Finding]:
    async with _within(seconds):
        return await findings()
