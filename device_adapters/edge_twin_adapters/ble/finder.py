"""One scan for everybody who looks for a device, started anew when nothing at all is heard.

Controllers that stop reporting while they claim to scan are a common field failure; habluetooth restarts
a scan that was silent for 90 s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from edge_twin_adapters.ble.backends import BackendFactory, platform_backends
from edge_twin_adapters.ble.link import LinkTimes, honour_cancellation

Heard = Callable[[BLEDevice, AdvertisementData], None]


class Finder:
    """Finds devices by address or name; the scan runs while somebody looks.

    Args:
        backends: factory of the bleak backends.
        times: time limits.
    """

    def __init__(self, backends: BackendFactory = platform_backends, times: LinkTimes | None = None) -> None:
        self._backends = backends
        self._times = times or LinkTimes()
        self._listeners: set[Heard] = set()
        self._scan: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()
        self.restarts = 0

    async def find(self, device: str, heard: Heard | None = None) -> BLEDevice | None:
        """The device when it advertises; None when it did not within ``scan_s``.

        Args:
            device: address or advertised name.
            heard: told of each advertisement of the device.

        Raises:
            BleakError: the radio cannot scan.
        """
        found: asyncio.Future[BLEDevice] = asyncio.get_running_loop().create_future()

        def listener(seen: BLEDevice, advertisement: AdvertisementData) -> None:
            if device.lower() != seen.address.lower() and device != advertisement.local_name:
                return
            if heard is not None:
                heard(seen, advertisement)
            if not found.done():
                found.set_result(seen)

        self._listeners.add(listener)
        try:
            return await self._wait(found)
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                await self._stop()

    async def _wait(self, found: asyncio.Future[BLEDevice]) -> BLEDevice | None:
        if self._scan is None or self._scan.done():
            self._scan = asyncio.create_task(self._keep_scanning(), name="ble:scan")
        scan = self._scan
        both: set[asyncio.Future[BLEDevice] | asyncio.Task[None]] = {found, scan}
        done, _ = await asyncio.wait(both, timeout=self._times.scan_s, return_when=asyncio.FIRST_COMPLETED)
        if found in done:
            return found.result()
        if scan in done and not scan.cancelled():
            scan.result()
        return None

    async def _stop(self) -> None:
        scan, self._scan = self._scan, None
        if scan is not None:
            scan.cancel()
            with suppress(BleakError):
                await asyncio.wait({scan})

    async def _keep_scanning(self) -> None:
        while True:
            await self._one_scan()
            self.restarts += 1

    async def _one_scan(self) -> None:
        """Scan until nothing was heard for the time of the watchdog."""
        backend = self._backends().scanner
        options: BleakScanner.ExtraArgs = {} if backend is None else {"backend": backend}
        scanner = BleakScanner(self._on_advertisement, **options)
        async with asyncio.timeout(self._times.job_s):
            await scanner.start()
        try:
            honour_cancellation()
            while await self._is_heard():
                pass
        finally:
            with suppress(BleakError, TimeoutError, OSError):
                async with asyncio.timeout(self._times.close_s):
                    await scanner.stop()

    async def _is_heard(self) -> bool:
        self._heard.clear()
        try:
            async with asyncio.timeout(self._times.watchdog_s):
                await self._heard.wait()
        except TimeoutError:
            return False
        return True

    def _on_advertisement(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        self._heard.set()
        for listener in tuple(self._listeners):
            listener(device, advertisement)
