"""Fuzzes everything that reads bytes of a device: ``make fuzz``, or ``python -m tests.fuzz.fuzz_ble --seconds 60``.

With atheris (extra ``fuzz``) the search follows the branches that inputs reach. Without it a mutator changes the
seeds blindly, and the report says so. An input that breaks a bar is written to the folder of findings; give its
path to run it again.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import sys
from importlib import util
from pathlib import Path
from typing import Any

FOUND = Path("out") / "fuzz"
MUTATOR = "mutator without coverage feedback"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.again:
        return _again(options.again)
    engine = options.engine or ("atheris" if util.find_spec("atheris") else "mutator")
    options.findings.mkdir(parents=True, exist_ok=True)
    run = _atheris if engine == "atheris" else _mutator
    return run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("again", nargs="*", type=Path, help="inputs to run again")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("atheris", "mutator"), help="atheris where it is installed")
    parser.add_argument("--findings", type=Path, default=FOUND)
    return parser


def _again(files: list[Path]) -> int:
    targets = importlib.import_module("tests.fuzz.ble_targets")
    for file in files:
        targets.run_one(file.read_bytes())
        sys.stdout.write(f"{file}: every bar holds\n")
    return 0


def _mutator(options: argparse.Namespace) -> int:
    targets, seeds, mutator = (
        importlib.import_module(f"tests.fuzz.{name}") for name in ("ble_targets", "ble_seeds", "mutator")
    )
    start = seeds.seeds()
    ended = mutator.search(targets.run_one, start, seed=options.seed, executions=sys.maxsize, seconds=options.seconds)
    if isinstance(ended, int):
        sys.stdout.write(f"{MUTATOR}: {len(start)} seeds, {ended} executions, nothing found\n")
        return 0
    file = options.findings / f"crash-{hashlib.sha256(ended.data).hexdigest()[:16]}"
    file.write_bytes(ended.data)
    sys.stdout.write(f"{MUTATOR}: {ended.error!r} after {ended.executions} executions, input in {file}\n")
    return 1


def _atheris(options: argparse.Namespace) -> int:
    """Never returns when the search ran: libFuzzer ends the process, with status 0 if it found nothing."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["edge_twin", "edge_twin_adapters"]):
        targets = importlib.import_module("tests.fuzz.ble_targets")
    corpus = _write_corpus(options.findings / "corpus")
    sys.stdout.write(f"atheris: {len(list(corpus.iterdir()))} inputs to begin with\n")
    sys.stdout.flush()
    flags = [
        f"-max_total_time={max(1, round(options.seconds))}",
        f"-seed={options.seed}",
        f"-artifact_prefix={options.findings}/",
        "-timeout=5",
        "-rss_limit_mb=1024",
        "-max_len=4096",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], targets.run_one)
    atheris.Fuzz()
    return 0


def _write_corpus(folder: Path) -> Path:
    """The seeds, and what earlier runs found worth keeping."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in importlib.import_module("tests.fuzz.ble_seeds").seeds():
        (folder / hashlib.sha256(seed).hexdigest()[:32]).write_bytes(seed)
    return folder


if __name__ == "__main__":
    sys.exit(main())
