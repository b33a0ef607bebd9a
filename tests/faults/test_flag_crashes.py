"""SIGKILL in the middle of flags that move: rows and events of the store always tell the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from edge_twin.flags.life import rebuilt
from edge_twin.store import Store
from tests.unit.test_flag_store import comparable

ROOT = Path(__file__).parents[2]
KILLS = 4
PATIENCE_SECONDS = 40.0

# Flags come and go at every step, so that a kill nearly always meets an open transaction.
MOVER = """
import itertools, sys
from datetime import timedelta
from pathlib import Path
from edge_twin.flags.alarm_rules import alarm_rules
from edge_twin.flags.lifecycle import follow
from edge_twin.store import Store
from tests.unit.test_flag_life import COUNT, FEVER, HEART, NOW
store, rules = Store(Path(sys.argv[1])), alarm_rules()
(last,) = store.database.query("SELECT count(*) AS n FROM flag_events")
for n in itertools.count(last["n"]):
    with store.transaction():
        before = store.flags.lives()
        holding = [flag for k, flag in enumerate((COUNT, FEVER, HEART)) if (n + k) % 3]
        store.flags.keep(before, follow(before, holding, NOW + n * timedelta(hours=13), rules))
    if n == last["n"]:
        print("moving", flush=True)
"""


def kill_a_mover(path: Path, after: float) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", MOVER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "moving\n"
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=PATIENCE_SECONDS)


def test_a_killed_process_leaves_rows_and_events_that_agree(tmp_path: Path) -> None:
    path = tmp_path / "edge-twin.db"
    before = 0
    for kill in range(KILLS):
        kill_a_mover(path, 0.05 + 0.03 * kill)
        with closing(Store(path)) as store:
            kept, back = store.flags.lives(), rebuilt(store.flags.events())
            events = len(list(store.flags.events()))
        assert events > before, "what was committed before the kill is still there, and more came"
        before = events
        assert {key: comparable(kept, key) for key in kept.by_key} == {
            key: comparable(back, key) for key in back.by_key
        }
        # Events tell every alert that was ever counted; the store reads those that the budget can still look at.
        assert kept.counted == back.counted[len(back.counted) - len(kept.counted) :]
        assert kept.counted
