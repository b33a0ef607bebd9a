"""The parts of the BlueZ machine that need no machine: the archive, the console, the list of steps."""

from __future__ import annotations

import io
import re
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.peers.bluez_vm import image, machine
from tests.peers.bluez_vm.archive import CpioWriter, Entry, entries_of_tar

CPIO = shutil.which("cpio")


def tar_with(members: list[tuple[tarfile.TarInfo, bytes]]) -> tarfile.TarFile:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    target.seek(0)
    return tarfile.open(fileobj=target)


def member(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, linkname: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname = kind, mode, linkname
    return info


def test_a_root_in_a_tar_keeps_files_modes_and_links_and_leaves_devices_out() -> None:
    source = tar_with(
        [
            (member("./", tarfile.DIRTYPE, 0o755), b""),
            (member("./usr/", tarfile.DIRTYPE, 0o755), b""),
            (member("./usr/tool", mode=0o755), b"#!"),
            (member("./usr/same", tarfile.LNKTYPE, mode=0o755, linkname="./usr/tool"), b""),
            (member("./bin", tarfile.SYMTYPE, linkname="usr"), b""),
            (member("./dev/null", tarfile.CHRTYPE), b""),
        ]
    )
    assert list(entries_of_tar(source)) == [
        Entry("usr", stat.S_IFDIR | 0o755),
        Entry("usr/tool", stat.S_IFREG | 0o755, b"#!"),
        Entry("usr/same", stat.S_IFREG | 0o755, b"#!"),
        Entry("bin", stat.S_IFLNK | 0o777, b"usr"),
    ]


@pytest.mark.skipif(CPIO is None, reason="cpio is not installed")
def test_cpio_itself_unpacks_what_was_written(tmp_path: Path) -> None:
    archive, root = tmp_path / "a.cpio", tmp_path / "root"
    with archive.open("wb") as target:
        writer = CpioWriter(target)
        writer.add(Entry("opt/deep/er/file", stat.S_IFREG | 0o750, b"content"))
        writer.add(Entry("opt/empty", stat.S_IFREG | 0o644))
        writer.add(Entry("link", stat.S_IFLNK | 0o777, b"opt/deep"))
        writer.close()
    root.mkdir()
    with archive.open("rb") as source:
        subprocess.run([str(CPIO), "-idm", "--quiet"], stdin=source, cwd=root, check=True)
    assert (root / "link" / "er" / "file").read_bytes() == b"content"
    assert stat.S_IMODE((root / "opt/deep/er/file").stat().st_mode) == 0o750
    assert (root / "opt/empty").read_bytes() == b""


def test_an_archive_ends_on_a_block_so_that_another_may_follow() -> None:
    target = io.BytesIO()
    writer = CpioWriter(target)
    writer.add(Entry("a", stat.S_IFREG | 0o644, b"12345"))
    writer.close()
    assert len(target.getvalue()) % 512 == 0
    assert b"TRAILER!!!" in target.getvalue()


def test_only_finished_steps_are_read_from_the_console() -> None:
    console = [
        "[    1.0] Bluetooth: hci0",
        "BLUEZ-VM step=scan ok after=50.5 name='Ward strap' rssi=-50\r",
        "BLUEZ-VM step=pair failed",
        "noise BLUEZ-VM step=notify ok after=61.0",
    ]
    assert list(machine.steps(console)) == [
        machine.Step("scan", 50.5, "name='Ward strap' rssi=-50"),
        machine.Step("notify", 61.0, ""),
    ]


def test_the_scenario_tells_every_step_that_is_asked_for() -> None:
    sources = "".join(file.read_text(encoding="utf-8") for file in image.GUEST.glob("*.py"))
    told = re.findall(r'told\(\s*"(\w+)"', sources)
    assert sorted(told) == sorted(machine.STEPS)


def test_a_machine_that_hangs_is_stopped() -> None:
    sleeper = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    shown: list[str] = []
    with pytest.raises(TimeoutError):
        machine._run(sleeper, shown.append, limit_s=1.0)
    assert shown in (["up"], [])


def test_a_machine_that_ends_gives_its_console() -> None:
    assert machine._run([sys.executable, "-c", "print('a'); print('b')"], lambda _: None, limit_s=30.0) == ["a", "b"]


def test_an_image_is_built_again_only_when_its_inputs_change() -> None:
    assert image._hash([b"a", b"b"]) == image._hash([b"a", b"b"])
    assert len({image._hash(parts) for parts in ([b"a", b"b"], [b"ab"], [b"b", b"a"], [b"a", b"c"])}) == 4


def test_an_interrupted_build_leaves_no_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(image, "CACHE", tmp_path / "cache")

    def half(folder: Path) -> None:
        (folder / "root.cpio").write_bytes(b"half")
        raise image.ImageError("the network went")

    with pytest.raises(image.ImageError):
        image._replace(tmp_path / "cache" / "base-1", half)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_new_image_takes_the_place_of_the_old_one_of_its_kind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(image, "CACHE", tmp_path)
    for name in ("base-1", "project-1", "base-2"):
        image._replace(tmp_path / name, lambda folder: (folder / "x").write_bytes(b"") and None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base-2", "project-1"]


def test_the_packages_of_the_image_are_the_environment_s_with_all_they_require() -> None:
    closure = image._closure(image.DISTRIBUTIONS)
    assert {"bleak", "bumble", "numpy", "dbus-fast", "cryptography", "cffi"} <= closure
    files = dict(image._package_files())
    assert "opt/edge_twin/site/bleak/__init__.py" in files
    assert all(file.is_file() for file in files.values())
