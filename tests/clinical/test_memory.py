"""Peak memory of the public way in a fresh process: open a signed bundle, 1,000 members, forecast, assimilate.

What a process needs without any of our code is measured beside it: numpy, its random generators and the OpenSSL that
they load.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

if not Path("/proc/self/status").exists():
    pytest.skip("the peak is read from Linux's /proc", allow_module_level=True)

REPORT = """
import sys
status = open("/proc/self/status").read().split()
heavy = [name for name in ("torch", "onnx", "scipy", "cryptography", "logging") if name in sys.modules]
print(int(status[status.index("VmHWM:") + 1]) * 1024 / 1e6, *heavy)
"""
FORECAST = """
from datetime import UTC, datetime, timedelta
from edge_twin import Dose, PatientTwin, load_program, open_bundle
from edge_twin_models import bundle_path
start = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
behind = bundle_path("neutropenia") if {name!r} != "neutropenia" else None
model = open_bundle(bundle_path({name!r}), {engine!r}, behind=behind)
twin = PatientTwin(model, load_program("neutropenia"))
twin = twin.given(Dose(start, "docetaxel", 150.0, timedelta(hours=1)))
twin = twin.counted(5.2, start).counted(0.6, start + timedelta(days=7)) if {counts} else twin
output = twin.forecast(start + timedelta(days=7, hours=1))
assert output.posterior.log_parameters.shape[0] == 1000
assert output.forecast.counts_used == {counts}
"""
NOTHING_OF_OURS = "import numpy.random"
USUAL_FLOOR_MB = 33.0  # of it; the limits below are totals on top of this floor


def peak(script: str) -> tuple[float, list[str]]:
    """Peak resident memory in MB, and which heavy modules were loaded."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", script + REPORT]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    megabytes, *heavy = result.stdout.split()
    return float(megabytes), heavy


@pytest.mark.parametrize(
    ("name", "engine", "counts", "limit_mb"),
    [
        ("neutropenia", "numpy", 0, 40.0),
        ("neutropenia", "onnxruntime", 0, 80.0),
        # The smoother's linear algebra comes on top, and pages are not the same twice: 39.5 to 40.4 in different runs.
        ("neutropenia", "numpy", 2, 41.0),
        ("neutropenia", "onnxruntime", 2, 80.0),
        # Two bundles, the student's and the one behind it.
        ("neutropenia-course", "numpy", 2, 42.0),
        ("neutropenia-course", "onnxruntime", 2, 80.0),
    ],
)
def test_one_forecast_needs_little_memory(name: str, engine: str, counts: int, limit_mb: float) -> None:
    megabytes, heavy = peak(FORECAST.format(name=name, engine=engine, counts=counts))
    floor, _ = peak(NOTHING_OF_OURS)
    print(f"{name} on {engine}, {counts} counts: {megabytes:.1f} MB, of which numpy alone {floor:.1f} MB")
    assert not {"torch", "onnx", "scipy", "cryptography"} & set(heavy)
    # What numpy needs alone differs by half a megabyte between installations and between runs; what is ours does not.
    assert megabytes - floor < limit_mb - USUAL_FLOOR_MB
