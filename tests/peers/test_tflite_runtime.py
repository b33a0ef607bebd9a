"""Boards that have tflite-runtime alone: our engines in a throw-away environment with the real package.

Needs a package registry. Without one, or where the package has no wheel, the tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROBE = """
import json
import numpy as np
from edge_twin.bundle import load_bundle
from edge_twin.cycle import select_cycle_operator
from edge_twin.engines.course_network import select_course_engine
from edge_twin.self_test import self_test
from edge_twin.student import load_student
from edge_twin_models import bundle_path

course, cycle = (load_bundle(bundle_path(name)) for name in ("neutropenia-course", "neutropenia-cycle"))
chosen = select_course_engine(course, load_student(course)), select_cycle_operator(cycle)
engines = chosen[0].engine, chosen[1].operator.engine
print(json.dumps({
    "numpy": np.__version__,
    "libraries": [getattr(engine, "library", "") for engine in engines],
    "engines": [engine.name for engine in engines],
    "refused": [dict(choice.refused) for choice in chosen],
    "self_test": [{result.engine: result.difference for result in self_test(bundle)} for bundle in (course, cycle)],
    "tolerances": [bundle.engine.tolerance_relative for bundle in (course, cycle)],
}))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime ends with Python 3.11"),
]


def probed(directory: Path, numpy: str) -> dict[str, Any]:
    """What our engines say in an environment with tflite-runtime and this numpy; no other LiteRT, no onnxruntime."""
    venv.create(directory, with_pip=True)
    python = directory / "bin" / "python"
    packages = ["tflite-runtime", numpy, "cryptography"]
    install = [str(python), "-m", "pip", "install", "--quiet", "--only-binary=:all:", *packages]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        last = installed.stderr.strip().splitlines()[-1:]
        pytest.skip(f"tflite-runtime could not be fetched: {''.join(last)}")
    rooms = os.pathsep.join(str(ROOT / room) for room in ("", "reduced_models"))
    environment = {**os.environ, "PYTHONPATH": rooms}
    result = subprocess.run([str(python), "-c", PROBE], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return told


def test_tflite_runtime_reproduces_the_golden_vectors_of_both_students(tmp_path: Path) -> None:
    told = probed(tmp_path, "numpy<2")
    assert told["numpy"].startswith("1.")
    assert told["engines"] == ["litert", "litert"]
    assert told["libraries"] == ["tflite_runtime", "tflite_runtime"]
    for differences, tolerance in zip(told["self_test"], told["tolerances"], strict=True):
        assert differences["onnxruntime"] is None
        assert differences["litert"] <= tolerance
        assert differences["numpy"] <= tolerance


def test_beside_numpy_2_it_imports_but_is_refused_and_numpy_serves(tmp_path: Path) -> None:
    told = probed(tmp_path, "numpy>=2")
    assert told["engines"] == ["numpy", "numpy"]
    for refused, differences in zip(told["refused"], told["self_test"], strict=True):
        assert refused["litert in tflite_runtime"].startswith("library_unusable")
        assert differences["litert"] is None
