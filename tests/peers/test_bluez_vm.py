"""Our client through BlueZ, D-Bus and the Linux kernel against virtual devices, in a virtual machine.

`make test-bluez` runs it. Without an emulator, or where the Debian packages cannot be fetched, it is skipped with the
reason; with EDGE_TWIN_BLUEZ=required, as the make target sets it, that is a failure.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from tests.peers.bluez_vm import image, machine

pytestmark = [pytest.mark.bluez, pytest.mark.timeout(image.BUILD_LIMIT_S + machine.LIMIT_S + 120.0)]


def unavailable(reason: str) -> NoReturn:
    if os.environ.get("EDGE_TWIN_BLUEZ") == "required":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def test_the_client_on_linux_s_own_bluetooth_stack(capsys: pytest.CaptureFixture[str]) -> None:
    if reasons := image.missing_tools():
        unavailable("; ".join(reasons))
    with capsys.disabled():
        try:
            kernel, base = image.base_image()
        except image.ImageError as error:
            unavailable(str(error))
        console = machine.boot(kernel, (base, image.project_image()), show=print)
    shown = [step.name for step in machine.steps(console)]
    assert shown == list(machine.STEPS)
    assert not [line for line in console if "missing=" in line]
