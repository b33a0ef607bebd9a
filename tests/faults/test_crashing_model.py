"""A model that kills its process: the real ``edge-twin run``, on a site's own key, comes back with the one before.

The crash is that of a native library: an onnxruntime, put before the real one, that dies on one certain graph.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_twin.archive import MANIFEST, SIGNATURE, unpack
from edge_twin.installed import Policy
from edge_twin.release import signed_files
from edge_twin.signing import TRUST_SCHEMA, SigningKey
from edge_twin.slots import SlotFolder, State
from edge_twin_adapters.fhir import anc_observation
from edge_twin_models import bundle_path

NAME, CRASHING = b"neutropenia", b"crashes-now"  # of the graph, equally long
PATIENCE_SECONDS = 40.0
DYING_LIBRARY = f"""
import os, signal
class SessionOptions: pass
def get_available_providers():
    return ["CPUExecutionProvider"]
class InferenceSession:
    def __init__(self, graph, *_, **__):
        if {CRASHING!r} in graph:
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("this library runs nothing")
"""


class Site:
    """A device in a folder of its own: production profile, a key of the site, a count and a dose on record."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = SigningKey.generate("clinic")
        now = datetime.now(UTC).replace(microsecond=0)
        (folder / "intake").mkdir()
        (folder / "intake" / "count.json").write_text(json.dumps(anc_observation(3.1, now - timedelta(hours=1))))
        (folder / "settings.toml").write_text(
            'schema = "edge-twin.settings/1"\ntime_zone = "UTC"\nprogram = "neutropenia"\nstore = "twin.db"\n'
            'intake = "intake"\nmodels = "models"\ntrusted = "trusted.toml"\nmembers = 100\n[[dose]]\n'
            f'time = "{(now - timedelta(days=5)).isoformat()}"\ndrug = "docetaxel"\namount_mg = 135\n'
            "infusion_minutes = 60\n"
        )
        (folder / "trusted.toml").write_text(
            f'schema = "{TRUST_SCHEMA}"\nprofile = "production"\n'
            f'[[key]]\nname = "clinic"\npublic = "{self.key.trusted.public.hex()}"\n'
        )
        (folder / "library" / "onnxruntime").mkdir(parents=True)
        (folder / "library" / "onnxruntime" / "__init__.py").write_text(DYING_LIBRARY)

    def release(self, version: int, *, crashing: bool = False) -> Path:
        """A version of the shipped model, signed by the site; a crashing one has another name in its graph."""
        members = unpack(bundle_path("neutropenia").read_bytes())
        document = {**json.loads(members[MANIFEST]), "version": version}
        if crashing:
            import hashlib  # noqa: PLC0415 - beside its only use

            members["model.onnx"] = members["model.onnx"].replace(NAME, CRASHING)
            document["files"]["model.onnx"] = hashlib.sha256(members["model.onnx"]).hexdigest()
        members[MANIFEST] = json.dumps(document).encode()
        path = self.folder / f"v{version}.etb"
        path.write_bytes(signed_files({n: c for n, c in members.items() if n != SIGNATURE}, self.key))
        return path

    def install(self, path: Path) -> subprocess.CompletedProcess[str]:
        """``edge-twin models install`` with the sound library."""
        command = [sys.executable, "-m", "edge_twin_app", "models", "install", str(path)]
        command += ["--models", str(self.folder / "models"), "--trusted", str(self.folder / "trusted.toml")]
        return subprocess.run(command, capture_output=True, check=False, text=True, timeout=PATIENCE_SECONDS)

    def start(self, *, settings: str = "settings.toml") -> subprocess.Popen[str]:
        """``edge-twin run`` with the dying library."""
        path = os.pathsep.join([str(self.folder / "library"), *filter(None, sys.path)])
        command = [sys.executable, "-m", "edge_twin_app", "run", "--settings", str(self.folder / settings)]
        with (self.folder / "device.log").open("a") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, text=True, env={**os.environ, "PYTHONPATH": path})

    def run_until(self, detail: str) -> None:
        """Run until this stands among the events and a step was kept, then end the run in order."""
        before = len(self.column("SELECT * FROM forecasts"))
        process = self.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while detail not in self.events() or len(self.column("SELECT * FROM forecasts")) == before:
            assert process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_SECONDS) == 0, self.log

    def events(self) -> list[str]:
        """What the store says about models."""
        return self.column("SELECT detail FROM events WHERE kind = 'model'")

    def column(self, sql: str) -> list[str]:
        """The first column of a query; empty while the store is not there."""
        try:
            with sqlite3.connect(f"file:{self.folder / 'twin.db'}?mode=ro", uri=True) as connection:
                rows = connection.execute(sql).fetchall()
            connection.close()
        except sqlite3.OperationalError:
            return []
        return [str(row[0]) for row in rows]

    @property
    def log(self) -> str:
        """Everything that the runs said."""
        return (self.folder / "device.log").read_text(encoding="utf-8")

    @property
    def state(self) -> State:
        """What is installed."""
        state = SlotFolder(self.folder / "models" / "neutropenia").state()
        assert state is not None
        return state


@pytest.mark.timeout(240)
def test_hz_bundle_05_a_model_that_kills_the_run_is_rolled_back_by_the_next_start(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert site.install(site.release(1)).returncode == 0
    site.run_until("committed neutropenia version 1")
    assert "left_out neutropenia-gcsf: development_key" in site.events()  # shipped, and not signed by the site
    assert site.install(site.release(2, crashing=True)).returncode == 0
    for killed in range(1, Policy().max_starts + 1):
        assert site.start().wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL
        assert (site.state.active.version, site.state.starts) == (2, killed)
    crashed = site.state.active
    site.run_until("rolled_back neutropenia from version 2 to 1")
    assert (site.state.active.version, site.state.on_trial) == (1, False)
    assert site.state.quarantined == (crashed.digest,)
    assert "rolled_back neutropenia from version 2 to 1" in site.log
    again = site.install(tmp_path / "v2.etb")
    assert (again.returncode, "[quarantined]" in again.stderr) == (1, True)


@pytest.mark.timeout(120)
def test_a_production_site_without_a_model_of_its_own_does_not_run_the_shipped_one(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert site.start().wait(timeout=PATIENCE_SECONDS) == 1
    assert "[development_key]" in site.log
