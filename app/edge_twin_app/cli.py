"""The command line ``edge-twin``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from edge_twin.errors import EdgeTwinError
from edge_twin_app.commands import (
    bench,
    central,
    devices,
    distill,
    doctor,
    evaluate,
    flags,
    models,
    rehearse,
    replay,
    run,
    trial,
    trust,
    watch,
)

_COMMANDS = (
    run,
    watch,
    flags,
    trust,
    replay,
    rehearse,
    trial,
    evaluate,
    devices,
    models,
    central,
    bench,
    distill,
    doctor,
)


def parser() -> argparse.ArgumentParser:
    """The whole command line; each command's module adds its own part."""
    top = argparse.ArgumentParser(
        prog="edge-twin", description="A digital twin runtime for adaptive oncology at the edge."
    )
    top.add_argument("--verbose", action="store_true", help="log what happens to standard error")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add_to(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an expected failure is one line on standard error and exit status 1."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.ERROR, stream=sys.stderr)
    try:
        return int(options.run(options))
    except EdgeTwinError as error:
        sys.stderr.write(f"edge-twin: {error} [{error.reason}]\n")
        return 1
    except KeyboardInterrupt:
        return 130
