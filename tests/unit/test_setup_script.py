"""scripts/setup.sh on machines that are missing something; every tool around it is a stand-in, no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "setup.sh"
SYSTEM_TOOLS = ("cat", "chmod", "cksum", "cp", "dirname", "mkdir", "rm", "sh", "tail")

# A Python that is new enough and makes environments which record their pip calls instead of making them.
# $HAS_VENV is a file that exists when the machine's "venv package" is installed.
PYTHON = """#!/bin/sh
case "$*" in
*"version_info < "*) exit 0 ;;
*"-venv"*) echo python3.11-venv ;;
*"import ensurepip"*) [ -e "$HAS_VENV" ] ;;
*"import pip"*) exit 0 ;;
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip "*) echo "$*" >>"$PIP_CALLS"; echo "pip says something"; exit "${PIP_STATUS:-0}" ;;
*) exit 64 ;;
esac
"""
OLD_PYTHON = "#!/bin/sh\nexit 1\n"
# Installs: a "-venv" package makes the environment module appear, "python3" an interpreter.
APT = """#!/bin/sh
echo "$*" >>"$APT_CALLS"
case "$*" in
*install*) [ -z "${APT_BROKEN:-}" ] || exit 100 ;;
esac
case "$*" in
*install*-venv*) : >"$HAS_VENV" ;;
esac
"""


class Machine:
    """A folder with a copy of the script, and a PATH on which only stand-ins stand."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.tools = folder / "bin"
        self.pip_calls = folder / "pip-calls"
        self.apt_calls = folder / "apt-calls"
        self.has_venv = folder / "has-venv"
        (self.project / "scripts").mkdir(parents=True)
        self.tools.mkdir()
        script = self.project / "scripts" / "setup.sh"
        # A broker that is really installed beside the PATH must not be seen.
        script.write_text(SCRIPT.read_text(encoding="utf-8").replace(":/usr/sbin:/usr/local/sbin", ""))
        script.chmod(0o755)
        (self.project / "pyproject.toml").write_text("[project]\n")
        for name in SYSTEM_TOOLS:
            (self.tools / name).symlink_to(shutil.which(name) or pytest.skip(f"no {name} here"))
        self.user(1000)

    def tool(self, name: str, text: str) -> None:
        path = self.tools / name
        path.write_text(text)
        path.chmod(0o755)

    def user(self, number: int) -> None:
        self.tool("id", f"#!/bin/sh\necho {number}\n")

    def root_with_apt(self) -> None:
        self.user(0)
        self.tool("apt-get", APT)
        self.tool("timeout", '#!/bin/sh\nshift\nexec "$@"\n')

    def setup(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {
            "PATH": str(self.tools),
            "HAS_VENV": str(self.has_venv),
            "PIP_CALLS": str(self.pip_calls),
            "APT_CALLS": str(self.apt_calls),
        }
        return subprocess.run(
            [self.project / "scripts" / "setup.sh", *arguments],
            env=own | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    def pip_installs(self) -> list[str]:
        return self.pip_calls.read_text().splitlines() if self.pip_calls.exists() else []

    def apt_installs(self) -> list[str]:
        calls = self.apt_calls.read_text().splitlines() if self.apt_calls.exists() else []
        return [call for call in calls if "install" in call]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if os.name != "posix":
        pytest.skip("the script is for POSIX systems")
    return Machine(tmp_path)


@pytest.fixture
def ready(machine: Machine) -> Machine:
    """A machine on which nothing is missing but mosquitto."""
    machine.tool("python3.11", PYTHON)
    machine.has_venv.touch()
    return machine


def test_without_any_python_it_says_what_to_ask_for(machine: Machine) -> None:
    result = machine.setup("run")
    assert result.returncode != 0
    assert "Python 3.11 or newer was not found" in result.stderr
    assert "Ask an administrator" in result.stderr
    assert "apt-get install python3 python3-venv" in result.stderr


def test_a_name_on_the_path_that_does_not_run_is_no_python(machine: Machine) -> None:
    for name in ("python3.11", "python3.12", "python3"):
        machine.tool(name, OLD_PYTHON)
    result = machine.setup("run")
    assert result.returncode != 0
    assert "was not found" in result.stderr


def test_without_venv_and_root_it_names_the_missing_package(machine: Machine) -> None:
    machine.tool("python3", PYTHON)
    machine.tool("apt-get", APT)
    result = machine.setup("run")
    assert result.returncode != 0
    assert "apt-get install python3.11-venv" in result.stderr
    assert machine.apt_installs() == []


def test_without_venv_it_uses_virtualenv(machine: Machine) -> None:
    machine.tool("python3.12", PYTHON)
    machine.tool("virtualenv", '#!/bin/sh\nmkdir -p "$4/bin" && cp "$(dirname "$0")/$3" "$4/bin/python"\n')
    result = machine.setup("run")
    assert result.returncode == 0, result.stderr
    assert len(machine.pip_installs()) == 1


def test_an_interpreter_with_venv_is_preferred(ready: Machine) -> None:
    ready.tool("python3.11", PYTHON.replace('[ -e "$HAS_VENV" ]', "exit 1"))
    ready.tool("python3.13", PYTHON)
    result = ready.setup("run")
    assert result.returncode == 0, result.stderr
    assert "with python3.13" in result.stdout


def test_root_installs_the_missing_package_and_says_so(machine: Machine) -> None:
    machine.tool("python3", PYTHON)
    machine.root_with_apt()
    result = machine.setup("run")
    assert result.returncode == 0, result.stderr
    assert "installing the system packages with apt-get: python3.11-venv" in result.stdout
    assert [call.split()[-1] for call in machine.apt_installs()] == ["python3.11-venv"]


def test_root_can_forbid_apt(machine: Machine) -> None:
    machine.tool("python3", PYTHON)
    machine.root_with_apt()
    result = machine.setup("run", EDGE_TWIN_NO_APT="1")
    assert result.returncode != 0
    assert machine.apt_installs() == []


def test_root_with_broken_apt_gets_the_plain_message(machine: Machine) -> None:
    machine.root_with_apt()
    result = machine.setup("run", APT_BROKEN="1")
    assert result.returncode != 0
    assert "Python 3.11 or newer was not found" in result.stderr


def test_second_run_installs_nothing(ready: Machine) -> None:
    assert "edge-twin[demo]" in ready.setup("run").stdout
    again = ready.setup("run")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert len(ready.pip_installs()) == 1


def test_changed_pyproject_is_installed_again(ready: Machine) -> None:
    ready.setup("run")
    (ready.project / "pyproject.toml").write_text("[project]\nname = 'edge-twin'\n")
    ready.setup("run")
    assert len(ready.pip_installs()) == 2


def test_moved_folder_is_installed_again(ready: Machine) -> None:
    ready.setup("run")
    ready.project = ready.project.rename(ready.project.with_name("moved"))
    ready.setup("run")
    assert len(ready.pip_installs()) == 2


def test_test_tools_imply_the_runtime(ready: Machine) -> None:
    ready.setup("dev")
    ready.setup("run")
    assert [call.split()[-1] for call in ready.pip_installs()] == [".[dev]"]


def test_runtime_does_not_imply_the_test_tools(ready: Machine) -> None:
    ready.setup("run")
    ready.setup("dev")
    assert [call.split()[-1] for call in ready.pip_installs()] == [".[demo]", ".[dev]"]


def test_failing_pip_shows_the_log_and_is_tried_again(ready: Machine) -> None:
    failed = ready.setup("run", PIP_STATUS="1")
    assert failed.returncode != 0
    assert "pip says something" in failed.stderr
    assert ".venv/setup.log" in failed.stderr
    assert ready.setup("run").returncode == 0
    assert len(ready.pip_installs()) == 2


def test_broken_environment_is_made_again(ready: Machine) -> None:
    ready.setup("run")
    (ready.project / ".venv" / "bin" / "python").unlink()
    result = ready.setup("run")
    assert result.returncode == 0, result.stderr
    assert "does not work" in result.stdout
    assert len(ready.pip_installs()) == 2


def test_without_root_the_missing_broker_is_told(ready: Machine) -> None:
    result = ready.setup("dev")
    assert result.returncode == 0, result.stderr
    assert "no mosquitto" in result.stdout
    assert "apt-get install mosquitto" in result.stdout


def test_an_installed_broker_is_not_mentioned(ready: Machine) -> None:
    ready.tool("mosquitto", "#!/bin/sh\n")
    assert "mosquitto" not in ready.setup("dev").stdout


def test_root_tries_the_broker_once_and_its_absence_never_stops_the_tests(ready: Machine) -> None:
    ready.root_with_apt()
    first, second = ready.setup("dev", APT_BROKEN="1"), ready.setup("dev", APT_BROKEN="1")
    assert (first.returncode, second.returncode) == (0, 0)
    assert [call.split()[-1] for call in ready.apt_installs()] == ["mosquitto"]
    assert "no mosquitto" in second.stdout


@pytest.mark.parametrize("arguments", [(), ("everything",)])
def test_wrong_use_is_refused(machine: Machine, arguments: tuple[str, ...]) -> None:
    result = machine.setup(*arguments)
    assert result.returncode != 0
    assert "usage:" in result.stderr


def test_real_interpreter_passes_the_real_checks(machine: Machine) -> None:
    """The stand-ins answer the script's own questions; here this interpreter answers them."""
    machine.tool("python3", f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec "{sys.executable}" "$@"\n')
    result = machine.setup("run")
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    assert f"apt-get install {package}" in result.stderr


def test_the_virtual_machine_s_tools_are_installed_by_root(machine: Machine) -> None:
    machine.root_with_apt()
    machine.tool("cpio", "#!/bin/sh\n")
    result = machine.setup("bluez")
    # The stand-in for apt-get installs nothing, and the script looks again.
    assert result.returncode != 0
    (call,) = machine.apt_installs()
    assert call.endswith("qemu-system-x86 mmdebstrap")
    assert "apt-get install qemu-system-x86 mmdebstrap" in result.stderr


def test_without_root_it_names_the_virtual_machine_s_packages(machine: Machine) -> None:
    machine.tool("apt-get", APT)
    result = machine.setup("bluez")
    assert result.returncode != 0
    assert "apt-get install qemu-system-x86 mmdebstrap cpio" in result.stderr
    assert machine.apt_installs() == []


def test_a_machine_with_the_tools_needs_nothing(machine: Machine) -> None:
    machine.root_with_apt()
    for tool in ("qemu-system-x86_64", "mmdebstrap", "cpio"):
        machine.tool(tool, "#!/bin/sh\n")
    assert machine.setup("bluez").returncode == 0
    assert machine.apt_installs() == []
