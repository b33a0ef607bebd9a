"""Sets the stage (broker, centre, radio, settings), runs the course, and collects what came of it."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Never

from tqdm import tqdm

from edge_twin.store import Store
from edge_twin_adapters.ble.source import LinkTimes
from edge_twin_adapters.ble.virtual import VirtualRadio, VirtualStrap, VirtualThermometer
from edge_twin_app.demonstration.clock import CourseClock
from edge_twin_app.demonstration.patient import Moment, course, dose
from edge_twin_app.demonstration.player import Player
from edge_twin_app.demonstration.trust import grant_trust
from edge_twin_app.device import Device, Surroundings
from edge_twin_app.errors import AppError
from edge_twin_app.processes import first_line
from edge_twin_app.report.summary import Outcome
from edge_twin_app.settings import SCHEMA, load_settings
from edge_twin_sync.broker import EmbeddedBroker
from edge_twin_sync.keys import pair

MARK = "demonstration.json"  # a folder with this file is ours to clear
FLUSH_SECONDS = 20.0

SETTINGS = """\
schema = "{schema}"
time_zone = "Europe/Berlin"
program = "neutropenia"
store = "{store}"
intake = "intake"
models = "models"

[trust]
site = "demonstration"
clinicians = "clinicians.toml"
grants = "grants"

[[sensor]]
kind = "chest_strap"
address = "C0:00:00:00:00:01"

[[sensor]]
kind = "thermometer"
address = "C0:00:00:00:00:02"

[[dose]]
time = "{time}"
drug = "{drug}"
amount_mg = {amount_mg}
infusion_minutes = {minutes}

[sync]
host = "{host}"
port = {port}
keys = "keys/device"
"""


@dataclass(frozen=True)
class Stage:
    """Where everything of one demonstration lies.

    Attributes:
        folder: the output folder.
    """

    folder: Path

    @property
    def settings(self) -> Path:
        """The device's settings file."""
        return self.folder / "settings.toml"

    @property
    def store(self) -> Path:
        """The device's database."""
        return self.folder / "edge-twin.db"

    @property
    def central(self) -> Path:
        """The centre's database."""
        return self.folder / "central.db"

    @property
    def keys(self) -> Path:
        """Keys of the device and of the centre, made for this run."""
        return self.folder / "keys"


def prepare(folder: Path, broker: tuple[str, int] | None) -> Stage:
    """Make the folder ready: empty for a new run, as it was for one that was interrupted.

    Raises:
        AppError: ``not_ours`` when the folder holds something else.
    """
    stage = Stage(folder)
    mark = folder / MARK
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        raise AppError(f"{folder} is not empty and not a demonstration's", reason="not_ours")
    if mark.exists() and json.loads(mark.read_text(encoding="utf-8"))["finished"]:
        shutil.rmtree(folder)
    if not mark.exists():
        (folder / "intake").mkdir(parents=True)
        pair(stage.keys / "device", stage.keys / "centre")
        grant_trust(stage.folder)
        mark.write_text('{"finished": false}\n', encoding="utf-8")
    if broker:
        write_settings(stage, broker)
    return stage


def finish(stage: Stage) -> None:
    """Note that the run is complete; the next one starts anew."""
    (stage.folder / MARK).write_text('{"finished": true}\n', encoding="utf-8")


def write_settings(stage: Stage, broker: tuple[str, int]) -> None:
    """The settings of the demonstration's device, in the form that every site uses."""
    given = dose()
    text = SETTINGS.format(
        schema=SCHEMA,
        store=stage.store.name,
        time=given.time.isoformat(),
        drug=given.drug,
        amount_mg=given.amount_mg,
        minutes=given.infusion / timedelta(minutes=1),
        host=broker[0],
        port=broker[1],
    )
    stage.settings.write_text(text, encoding="utf-8")


@contextmanager
def peers(stage: Stage, broker: tuple[str, int] | None) -> Iterator[None]:
    """Broker (embedded unless one is named) and central gateway, for the length of the run."""
    if broker:
        with central_process(stage, broker):
            yield
        return
    with EmbeddedBroker() as embedded:
        address = (embedded.host, embedded.port)
        write_settings(stage, address)
        with central_process(stage, address):
            yield


@contextmanager
def central_process(stage: Stage, broker: tuple[str, int]) -> Iterator[None]:
    """The central gateway as a process of its own, ready to receive."""
    command = [
        sys.executable, "-m", "edge_twin_sync.gateway", "--database", str(stage.central),
        "--centre", str(stage.keys / "centre"), "--broker", f"{broker[0]}:{broker[1]}", "--end-with-stdin",
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own module
        try:
            first_line(process, "central gateway")
            yield
        finally:
            process.terminate()


def run_course(stage: Stage, *, quiet: bool) -> Outcome:
    """Play the course, from where an interrupted run had come to."""
    moments = remaining(stage)
    started = time.monotonic()
    with tqdm(total=len(moments), desc="24 days", unit="event", disable=quiet, leave=False) as bar:
        device = asyncio.run(_play(stage, moments, bar))
    if device.runtime.last is None or device.runtime.last_input is None:
        raise AppError("the runtime took no step", reason="no_output")
    counters = [source.counters for source in device.sensors.values()]
    return Outcome(
        elapsed_s=time.monotonic() - started,
        given=device.runtime.last_input,
        output=device.runtime.last,
        notifications=sum(c.notifications for c in counters),
        reconnects=sum(c.reconnects for c in counters),
        gaps=sum(c.gaps for c in counters),
        refused=sum(c.refused for c in counters),
    )


def remaining(stage: Stage) -> tuple[Moment, ...]:
    """The moments after the last reading that was stored; all of them in a new run."""
    moments = course()
    if not stage.store.exists():
        return moments
    store = Store(stage.store)
    try:
        span = store.observation_span()
    finally:
        store.close()
    return tuple(moment for moment in moments if span is None or moment.time > span[1])


async def _play(stage: Stage, moments: tuple[Moment, ...], bar: tqdm[Never]) -> Device:
    start = moments[0].time if moments else course()[-1].time
    clock = CourseClock(start)
    async with VirtualRadio() as radio:
        around = Surroundings(clock=clock, backends=radio.backends, link_times=_QUICK_LINKS, poll_seconds=0.01)
        with Device(load_settings(stage.settings), around) as device:
            player = Player(clock, device, VirtualStrap(radio), VirtualThermometer(radio), _show(bar))
            running = asyncio.create_task(device.run())
            playing = asyncio.create_task(player.play(moments))
            await asyncio.wait((running, playing), return_when=asyncio.FIRST_EXCEPTION)
            for task in (playing, running):
                await task
            if device.sync:
                device.sync.wait_empty(FLUSH_SECONDS)
    return device


# The course is played thousands of times faster than life, so the pauses between attempts are too.
_QUICK_LINKS = LinkTimes(backoff_base_s=0.02, backoff_cap_s=0.2)


def _show(bar: tqdm[Never]) -> Callable[[Moment], None]:
    def show(moment: Moment) -> None:
        bar.set_postfix_str(_day(moment.time), refresh=False)
        bar.update()

    return show


def _day(moment: datetime) -> str:
    return f"{moment:%d %b}"
