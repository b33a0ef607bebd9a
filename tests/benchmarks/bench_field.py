"""Reduced field against its teacher: 1,000 members × 84 days. ``python -m tests.benchmarks.bench_field``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from edge_twin.bundle import load_bundle
from edge_twin.engines.field_engines import CANDIDATES
from edge_twin.field import FieldModel
from edge_twin_models import bundle_path
from edge_twin_models.field_design import REPORT_DAYS, field_sample, member_steps, treatment
from edge_twin_models.field_teacher import GliomaField

MEMBERS, TEACHER_MEMBERS = 1000, 8


def fastest(action: Callable[[], object], repeats: int) -> float:
    """Milliseconds, minimum over repeats."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return 1e3 * min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    bundle, teacher = load_bundle(bundle_path("glioma-field")), GliomaField()
    model = FieldModel(bundle)
    sample = field_sample(teacher.domain, MEMBERS, 31, quasi=False)
    given = treatment(sample, int(np.flatnonzero(sample.with_drug)[0]))
    steps, report = member_steps(sample, int(np.flatnonzero(sample.with_drug)[0]))
    part = (sample.initial[:, :TEACHER_MEMBERS], sample.log_parameters[:TEACHER_MEMBERS])
    exact = fastest(lambda: teacher.fields(*part, steps, report), repeats) * MEMBERS / TEACHER_MEMBERS
    starts = np.stack([model.project(teacher.domain.grid(one)).coefficients for one in sample.initial.T])
    print(f"| teacher, {TEACHER_MEMBERS} members scaled | {exact:,.0f} | 1 |")
    for name, make in CANDIDATES.items():
        engine = make(bundle, model)
        roll = fastest(lambda e=engine: model.run(e, starts, sample.log_parameters, REPORT_DAYS, given), repeats)  # type: ignore[misc]
        print(f"| {name}, {model.size} modes, guards included | {roll:.0f} | {exact / roll:,.0f} |")
    states = model.run(CANDIDATES["numpy"](bundle, model), starts, sample.log_parameters, REPORT_DAYS, given)
    volume = fastest(lambda: model.volume(states.coefficients[-1], 0.16), repeats)
    print(f"| volumes of 1,000 members on one day | {volume:.1f} | – |")


if __name__ == "__main__":
    main()
