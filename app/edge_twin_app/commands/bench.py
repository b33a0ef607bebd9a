"""``edge-twin bench rehearse``: what a rehearsal costs with each method, measured in one run."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from edge_twin_app.commands import bench_students
from edge_twin_app.rehearsal_bench import measure, own_peak_rss_mb, work

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers

SHOWN = {
    "method": 16,
    "engine": 13,
    "milliseconds": 13,
    "ratio_to_lsoda": 15,
    "ratio_to_floor": 15,
    "count_error_p95": 16,
    "count_error_max": 16,
    "nadir_error_p95": 16,
    "nadir_error_max": 16,
    "peak_rss_mb": 12,
    "parameters": 11,
    "shipped": 8,
}
"""Columns of the table with their widths; ``--json`` holds every quantile."""


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("bench", help="performance tables, measured on this machine")
    parser.add_argument("what", choices=("rehearse", "students"))
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--reference", type=int, default=200, help="patients integrated by LSODA: timed and compared")
    parser.add_argument("--without-memory", action="store_true", help="start no process to measure peak memory")
    parser.add_argument("--runs", type=int, default=1000, help="fresh patients of each teacher (students)")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="rows and bars as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    if options.what == "students":
        text = bench_students.document(options.runs, options.members, options.repeats, as_json=options.json)
        sys.stdout.write(text)
        return 0
    if options.only:
        method, engine = options.only.split(":")
        work(method, engine, options.members)()
        sys.stdout.write(f"{own_peak_rss_mb()}\n")
        return 0
    document = measure(options.members, options.repeats, options.reference, memory=not options.without_memory)
    sys.stdout.write(json.dumps(document, indent=1) + "\n" if options.json else _table(document))
    return 0


def _table(document: dict[str, Any]) -> str:
    lines = [_line({name: name for name in SHOWN}), *(_line(row) for row in document["rows"])]
    floors = ", ".join(f"{name} {value:.2f} ms" for name, value in document["floor_ms"].items())
    lines.append(
        f"LSODA from {document['lsoda_members_run']} members, scaled to {document['members']}; floors: {floors}"
    )
    lines += [
        f"{'met' if bar['met'] else 'NOT MET':<8}{bar['bar']}: {bar['value']:.4g}, "
        f"{bar['kind'].replace('_', ' ')} {bar['limit']:g}"
        for bar in document["bars"]
    ]
    return "\n".join([*lines, ""])


def _line(row: dict[str, Any]) -> str:
    return "".join(f"{_shown(row[name]):>{width}}" for name, width in SHOWN.items())


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
