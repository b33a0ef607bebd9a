"""``edge-twin devices simulate``: virtual sensors, the real client, and an account of every record.

Nothing outside this process sees the sensors: they are on a virtual radio, and what is read of them is
counted and thrown away.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import sys
from collections.abc import Sequence
from typing import Any

from edge_twin_app.errors import AppError

# Losses of the link in an hour with --faults [A].
_FAULTS_AN_HOUR = 20
_SECONDS_AN_HOUR = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes; ``--json`` is the caller's."""
    parser.add_argument("profiles", nargs="*", metavar="PROFILE", help="kinds of sensors (all unless given)")
    parser.add_argument("--seconds", type=float, default=600.0, help="simulated seconds (default: %(default)s)")
    parser.add_argument("--speed", type=float, help="most simulated seconds in a real one")
    parser.add_argument("--seed", type=int, default=0, help="of readings, faults and jitter (default: %(default)s)")
    parser.add_argument("--faults", action="store_true", help="lose links, twenty times an hour")


def run(options: argparse.Namespace) -> int:
    """Simulate and print the accounts; exit status 1 when a record is unaccounted for."""
    told = simulate(
        options.profiles, options.seconds, seed=options.seed, speed=options.speed, with_faults=options.faults
    )
    write = _write_json if options.json else _write_table
    write(told)
    return 0 if told["closed"] else 1


def simulate(
    kinds: Sequence[str], seconds: float, *, seed: int = 0, speed: float | None = None, with_faults: bool = False
) -> dict[str, Any]:
    """Let virtual sensors measure and the client read them.

    Args:
        kinds: of :data:`edge_twin_adapters.ble.peers.ingestion.INGESTIBLE`; all when empty.
        seconds: simulated length.
        seed: of readings, faults and jitter.
        speed: most simulated seconds in a real one; the module's own when None.
        with_faults: lose links at random times.

    Returns:
        ``rows`` (one account for each stream), ``closed``, ``faults`` (by kind), ``simulated_s``,
        ``wall_s``, ``cpu_s`` and ``values`` (received by the client).

    Raises:
        AppError: ``bad_request`` for a length or speed that is not above zero and finite, or ``extra_missing``
            without Bumble.
        AdapterError: ``unknown_sensor``.
    """
    if not 0 < seconds < math.inf or (speed is not None and not 0 < speed < math.inf):
        raise AppError("seconds and speed must be above zero and finite", reason="bad_request")
    try:
        from edge_twin_adapters.ble.peers import ingestion  # noqa: PLC0415 - needs an extra
        from edge_twin_adapters.ble.peers.catalogue import identity_of  # noqa: PLC0415 - as above
        from edge_twin_adapters.ble.peers.faults import Fault, FaultKind, plan_faults  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise AppError("virtual sensors need Bumble (extra 'demo')", reason="extra_missing") from error
    chosen = tuple(dict.fromkeys(kinds)) or ingestion.INGESTIBLE
    faults: tuple[Fault, ...] = ()
    if with_faults:
        count = max(1, round(_FAULTS_AN_HOUR * seconds / _SECONDS_AN_HOUR))
        names = [identity_of(kind).name for kind in chosen]
        faults = plan_faults(random.Random(seed), seconds, {FaultKind.DISCONNECT: (count, names)})  # noqa: S311 - a plan
    scenario = ingestion.Scenario(chosen, seconds, seed, faults, speed=speed or ingestion.USUAL_SPEED)
    result = asyncio.run(ingestion.ingest(scenario))
    return {
        "rows": [one.row() for one in result.accounts],
        "closed": result.is_closed,
        "faults": {kind.value: number for kind, number in result.faults.items()},
        "simulated_s": round(result.simulated_s, 3),
        "wall_s": round(result.wall_s, 3),
        "cpu_s": round(result.cpu_s, 3),
        "values": result.notifications,
    }


def _write_json(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


def _write_table(told: dict[str, Any]) -> None:
    rows = told["rows"]
    if rows:
        columns = list(rows[0])
        widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in columns}
        for row in ({name: name for name in columns}, *rows):
            sys.stdout.write("  ".join(str(row[name]).ljust(widths[name]) for name in columns).rstrip() + "\n")
    faults = ", ".join(f"{number} {kind}" for kind, number in told["faults"].items()) or "none"
    sys.stdout.write(
        f"{told['values']} values in {told['simulated_s']:.0f} simulated seconds, {told['wall_s']:.1f} real ones "
        f"and {told['cpu_s']:.1f} of the processor; faults: {faults}\n"
        + ("every record arrived once or lies in a gap\n" if told["closed"] else "records are unaccounted for\n")
    )
