"""Boots the virtual machine, shows its console and reads the steps that the scenario tells."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# What the scenario has to show, in this order.
STEPS = (
    "adapter",
    "scan",
    "pair",
    "encrypted_read",
    "notify",
    "reconnect",
    "bond_renewed",
    "indicate",
    "passkey_pair",
    "stranger_refused",
    "backfill",
    "polar_stream",
)
LIMIT_S = 900.0
_MEMORY_MB = 1536
_LINE = re.compile(r"BLUEZ-VM step=(?P<name>\w+) ok after=(?P<seconds>[\d.]+) ?(?P<detail>.*)")


@dataclass(frozen=True, slots=True)
class Step:
    """A step that the scenario finished: when, in seconds since the guest booted, and what it found."""

    name: str
    seconds: float
    detail: str


def steps(console: Iterable[str]) -> Iterator[Step]:
    """The finished steps in the lines of a console."""
    for line in console:
        if (match := _LINE.search(line)) is not None:
            yield Step(match["name"], float(match["seconds"]), match["detail"].strip())


def boot(kernel: Path, parts: Iterable[Path], *, show: Callable[[str], None], limit_s: float = LIMIT_S) -> list[str]:
    """Run the machine until it switches itself off: the lines of its console.

    It has no network, no disc and no way to the host but its console.

    Raises:
        TimeoutError: it did not end in time and was stopped.
    """
    with tempfile.TemporaryDirectory() as scratch:
        memory = Path(scratch) / "initrd"
        with memory.open("wb") as target:
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, target)
        return _run(_command(kernel, memory), show, limit_s)


def _command(kernel: Path, memory: Path) -> list[str]:
    return [
        "qemu-system-x86_64",
        *("-machine", "q35,accel=tcg", "-cpu", "max", "-smp", "1", "-m", str(_MEMORY_MB)),
        *("-kernel", str(kernel), "-initrd", str(memory)),
        *("-append", "console=ttyS0 quiet panic=-1"),
        *("-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio"),
    ]


def _run(command: list[str], show: Callable[[str], None], limit_s: float) -> list[str]:
    lines: list[str] = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        watchdog = threading.Timer(limit_s, stop)
        watchdog.start()
        try:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                show(lines[-1])
        finally:
            watchdog.cancel()
            process.kill()
    if late.is_set():
        raise TimeoutError(f"the virtual machine did not end within {limit_s:g} s")
    return lines
