"""Emulator against its stochastic teacher, 1,000 members. ``python -m tests.benchmarks.bench_emulator``.

The teacher needs replicates for a distribution: 500 of each member, as in the certificate.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from edge_twin.bundle import load_bundle
from edge_twin.emulator import Emulator
from edge_twin.engines.network_engines import CANDIDATES
from edge_twin_models import bundle_path
from edge_twin_models.clone_teacher import ResistantClone
from edge_twin_models.emulator_train import clone_sample

MEMBERS, REPLICATES, TEACHER_MEMBERS = 1000, 500, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    bundle = load_bundle(bundle_path("resistance-emulator"))
    emulator, sample = Emulator(bundle), clone_sample(MEMBERS, 51, quasi=False)
    rows = np.repeat(sample.log_parameters[:TEACHER_MEMBERS], REPLICATES, axis=0)
    begin = time.perf_counter()
    ResistantClone().replicates(rows, np.repeat(sample.days[:TEACHER_MEMBERS], REPLICATES), 52)
    exact = 1e3 * (time.perf_counter() - begin) * MEMBERS / TEACHER_MEMBERS
    print(f"| teacher, {REPLICATES} replicates, {TEACHER_MEMBERS} members scaled | {exact:,.0f} | 1 |")
    for name, make in CANDIDATES.items():
        engine = make(bundle, emulator)
        times = []
        for _ in range(repeats):
            begin = time.perf_counter()
            emulator.distribution(engine, sample.log_parameters, sample.days).interval()
            times.append(1e3 * (time.perf_counter() - begin))
        print(f"| {name}, with 95 % interval | {min(times):.2f} | {exact / min(times):,.0f} |")


if __name__ == "__main__":
    main()
