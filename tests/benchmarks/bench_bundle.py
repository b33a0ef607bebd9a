"""How long it takes to open a signed bundle, and what an installation adds, on this machine.

    python -m tests.benchmarks.bench_bundle [--json FILE] [--repeats R]

Each row is a shipped bundle as a signed archive in memory: ``open`` checks container, signature, hashes and
manifest; ``self-test`` asks every engine of this device for the golden vectors; ``install`` does both and
switches the version on the disk (archive and state flushed); ``start`` counts a start on the disk and opens.
Minimum and median over repeats are reported because the machine may be shared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_twin.bundle import open_bundle
from edge_twin.installed import InstalledModels
from edge_twin.self_test import self_test
from edge_twin.signing import DEVELOPMENT_TRUST
from edge_twin_models import bundle_names, bundle_path


@dataclass(frozen=True, slots=True)
class Row:
    """One measured step; times in ms."""

    bundle: str
    kilobytes: float
    step: str
    minimum_ms: float
    median_ms: float


def timed(task: Callable[[], object], repeats: int) -> list[float]:
    """Milliseconds of each repeat, after one that does not count."""
    task()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        task()
        times.append(1e3 * (time.perf_counter() - begin))
    return times


def install_once(content: bytes, folder: Path) -> None:
    """Into a fresh folder, so that every repeat writes and switches."""
    with tempfile.TemporaryDirectory(dir=folder) as root:
        bundle = open_bundle(content)
        InstalledModels(Path(root), DEVELOPMENT_TRUST, lambda: bundle.created).install(content)


def measure(name: str, repeats: int, folder: Path) -> list[Row]:
    """The rows of one bundle."""
    content = bundle_path(name).read_bytes()
    bundle = open_bundle(content)
    models = InstalledModels(folder, DEVELOPMENT_TRUST, lambda: bundle.created)
    models.install(content)

    def start() -> None:
        models.start(name)
        models.healthy(name)

    steps: dict[str, Callable[[], object]] = {
        "open": lambda: open_bundle(content),
        "self-test": lambda: self_test(bundle),
        "install": lambda: install_once(content, folder),
        "start and report health": start,
    }
    times = {step: timed(task, repeats) for step, task in steps.items()}
    size = len(content) / 1e3
    return [Row(name, size, step, min(values), statistics.median(values)) for step, values in times.items()]


def main() -> int:
    """Measure, print a table, and write the rows as JSON where wanted."""
    parser = argparse.ArgumentParser(description="opening and installing signed bundles")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for name in bundle_names() for row in measure(name, options.repeats, Path(folder))]
    for row in rows:
        cells = f"{row.bundle:20s} {row.kilobytes:7.1f} kB  {row.step:24s}"
        sys.stdout.write(f"{cells} {row.minimum_ms:8.2f} {row.median_ms:8.2f} ms\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
