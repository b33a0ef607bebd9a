"""SIGKILL between a step and its commit: the chain holds, and what was committed is in it exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from edge_twin.ledger import Head, verify
from edge_twin.store import Store

ROOT = Path(__file__).parents[2]
KILLS = 4
PATIENCE_SECONDS = 40.0

# A row of the step and its entry are written in one transaction, as the runtime does.
WRITER = """
import itertools, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from edge_twin.ledger import Entered
from edge_twin.store import Store
store, start = Store(Path(sys.argv[1])), datetime(2026, 3, 2, tzinfo=UTC)
first = store.ledger.head().number
for n in itertools.count(first):
    now = start + n * timedelta(hours=1)
    with store.transaction():
        store.put_forecast(now, {"n": n})
        store.ledger.append(Entered.FORECAST, now, {"n": n}, subject="p/1/m")
    if n == first:
        print("writing", flush=True)
"""


def kill_a_writer(path: Path, after: float) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=PATIENCE_SECONDS)


def test_hz_trust_09_a_killed_process_leaves_a_chain_that_holds(tmp_path: Path) -> None:
    path = tmp_path / "edge-twin.db"
    kept: list[Head] = []
    for kill in range(KILLS):
        kill_a_writer(path, 0.05 + 0.03 * kill)
        with closing(Store(path)) as store:
            found = verify(store.ledger.entries(), kept)
            steps = [form["n"] for _, form in store.forecasts()]
            chained = [entry.says["n"] for entry in store.ledger.entries()]
            kept.append(store.ledger.head())
        assert found.broken is None
        assert steps == chained == list(range(found.entries))
    assert kept[-1].number > kept[0].number > 0
