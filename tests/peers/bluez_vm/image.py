"""The two parts of the virtual machine's file system, each built when its inputs change.

The base is a Debian root with BlueZ and the kernel (minutes, needs the package servers); the project part is this
checkout and the Python packages of the environment that runs the tests (seconds).
"""

from __future__ import annotations

import compileall
import hashlib
import importlib.metadata
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

from packaging.requirements import Requirement

from tests.peers.bluez_vm.archive import CpioWriter, Entry, entries_of_tar

ROOT = Path(__file__).resolve().parents[3]
GUEST = Path(__file__).with_name("guest")
CACHE = ROOT / ".bluez-vm"

# Debian 12 and its Python: compiled packages of the environment run in it unchanged.
SUITE = "bookworm"
PYTHON = (3, 11)
PACKAGES = ("bluez", "dbus", "python3", "kmod", "iproute2")
TOOLS = ("qemu-system-x86_64", "mmdebstrap")
# What the scenario imports of the environment; their requirements come along.
DISTRIBUTIONS = ("bleak", "bumble", "numpy")
CODE = {"edge_twin": ROOT / "edge_twin", "edge_twin_adapters": ROOT / "device_adapters" / "edge_twin_adapters"}
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
BUILD_LIMIT_S = 1500.0


class ImageError(Exception):
    """The image cannot be built; the message says what is missing."""


def base_image() -> tuple[Path, Path]:
    """Kernel and archive of the Debian root, from the cache where their inputs are unchanged."""
    folder = CACHE / f"base-{_hash(_base_inputs())}"
    if not (folder / "root.cpio").exists():
        _replace(folder, _build_base)
    return folder / "vmlinuz", folder / "root.cpio"


def project_image() -> Path:
    """Archive of this checkout, the scenario and the Python packages, from the cache where they are unchanged."""
    folder = CACHE / f"project-{_hash(_project_inputs())}"
    if not (folder / "project.cpio").exists():
        _replace(folder, _build_project)
    return folder / "project.cpio"


def missing_tools() -> list[str]:
    """Why the machine cannot be built or run here; empty when it can."""
    reasons = [
        f"{tool} is not installed" for tool in ("qemu-system-x86_64", "mmdebstrap") if shutil.which(tool) is None
    ]
    if sys.version_info[:2] != PYTHON:
        reasons.append(f"Debian {SUITE} has Python {PYTHON[0]}.{PYTHON[1]}, this environment another one")
    if os.uname().machine != "x86_64":
        reasons.append("the image is for x86-64")
    return reasons


# --- cache -----------------------------------------------------------------------------------------


def _hash(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def _replace(folder: Path, build: Callable[[Path], object]) -> None:
    """Fill ``folder`` completely or not at all, and drop older builds of the same kind."""
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as draft:
        build(Path(draft))
        for old in CACHE.glob(f"{folder.name.partition('-')[0]}-*"):
            shutil.rmtree(old)
        shutil.copytree(draft, folder)


# --- the Debian root -------------------------------------------------------------------------------


def _base_inputs() -> Iterator[bytes]:
    yield repr((SUITE, PACKAGES, _LEFT_OUT)).encode()
    yield from (file.read_bytes() for file in (GUEST / "kernel_hook.sh", GUEST / "modules"))
    yield Path(__file__).with_name("archive.py").read_bytes()


def _build_base(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "root.tar"
        _mmdebstrap(archive)
        with tarfile.open(archive) as source, (folder / "root.cpio").open("wb") as target:
            writer = CpioWriter(target)
            for entry in entries_of_tar(source):
                if entry.path == "boot/vmlinuz":
                    (folder / "vmlinuz").write_bytes(entry.content)
                else:
                    writer.add(entry)
            writer.close()


def _mmdebstrap(archive: Path) -> None:
    command = [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        f"--customize-hook=sh '{GUEST / 'kernel_hook.sh'}' \"$1\"",
        SUITE,
        str(archive),
        *_apt_sources(),
    ]
    environment = os.environ | {"MODULES": (GUEST / "modules").read_text("ascii").strip()}
    try:
        subprocess.run(command, env=environment, check=True, timeout=BUILD_LIMIT_S)
    except (subprocess.SubprocessError, OSError) as error:
        raise ImageError(f"the Debian root could not be built: {error}") from error


def _apt_sources() -> list[str]:
    """The package sources of a host of the same release; mmdebstrap knows the defaults of any other."""
    release = Path("/etc/os-release")
    if not release.exists() or f"VERSION_CODENAME={SUITE}" not in release.read_text("utf-8").split():
        return []
    files = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d/debian.sources"))
    return [str(file) for file in files if file.exists()]


# --- the project -----------------------------------------------------------------------------------


def _project_inputs() -> Iterator[bytes]:
    for path, file in sorted(_project_files()):
        yield path.encode() + file.read_bytes()
    yield repr([(name, importlib.metadata.version(name)) for name in sorted(_closure(DISTRIBUTIONS))]).encode()
    yield b"".join(Path(__file__).with_name(name).read_bytes() for name in ("archive.py", "image.py"))


def _build_project(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for path, file in (*_project_files(), *_package_files()):
            _copy(file, root / path)
        # Compiling takes the emulated processor longer than the test.
        compileall.compile_dir(
            root / "opt", quiet=2, stripdir=scratch, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
        )
        with (folder / "project.cpio").open("wb") as target:
            writer = CpioWriter(target)
            for file in sorted(path for path in root.rglob("*") if path.is_file()):
                writer.add(Entry(str(file.relative_to(root)), stat.S_IFREG | 0o755, file.read_bytes()))
            writer.close()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _project_files() -> Iterator[tuple[str, Path]]:
    yield "init", GUEST / "init"
    yield "etc/edge-twin/modules", GUEST / "modules"
    yield from ((f"opt/edge_twin/code/{file.relative_to(ROOT)}", file) for file in GUEST.glob("*.py"))
    for name, package in CODE.items():
        for file in package.rglob("*"):
            if file.is_file() and file.suffix != ".pyc":
                yield f"opt/edge_twin/code/{name}/{file.relative_to(package)}", file


def _package_files() -> Iterator[tuple[str, Path]]:
    for name in _closure(DISTRIBUTIONS):
        for file in importlib.metadata.files(name) or ():
            if not {"..", "tests", "__pycache__"} & set(file.parts):
                yield f"opt/edge_twin/site/{file}", Path(str(file.locate()))


def _closure(names: Iterable[str]) -> set[str]:
    """These distributions and all that they require here, without extras."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [
                need.name for need in map(Requirement, importlib.metadata.requires(name) or ()) if _applies(need)
            ]
    return found


def _applies(need: Requirement) -> bool:
    return need.marker is None or need.marker.evaluate({"extra": ""})
