"""Wiring: settings become a running device. The demonstration and a real site take the same road."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self
from zoneinfo import ZoneInfo

from edge_twin.bundle import Bundle, load_bundle
from edge_twin.contract import Model
from edge_twin.errors import BundleError
from edge_twin.observation import DeviceEvent, DeviceEventKind
from edge_twin.promises import cover_of
from edge_twin.runtime import Plan, Runtime, Source
from edge_twin.store import Store
from edge_twin_adapters.ble.backends import BackendFactory, platform_backends
from edge_twin_adapters.ble.finder import Finder
from edge_twin_adapters.ble.frame import DecodeContext
from edge_twin_adapters.ble.frames import FrameStore
from edge_twin_adapters.ble.link import LinkTimes
from edge_twin_adapters.ble.profiles import PROFILES
from edge_twin_adapters.ble.source import BleSource
from edge_twin_adapters.ble.state import SqliteMemory
from edge_twin_adapters.folder import FolderSource
from edge_twin_app.errors import AppError
from edge_twin_app.intake_reader import intake_reader
from edge_twin_app.models import active_bundle, installed_models, running_model, trusted_keys
from edge_twin_app.outlet import OutboxOutlet
from edge_twin_app.settings import Sensor, Settings, SyncSettings
from edge_twin_app.starting import ModelStart
from edge_twin_app.trusting import Entrance
from edge_twin_models import bundle_path
from edge_twin_sync.client import SyncClient
from edge_twin_sync.keys import DeviceKeys
from edge_twin_sync.outbox import Outbox
from edge_twin_sync.paho_transport import MqttSettings, PahoTransport
from edge_twin_sync.sealer import Sealer
from edge_twin_sync.streams import ack_topic, status_topic

_LOG = logging.getLogger(__name__)


def system_clock() -> datetime:
    """The system's time, aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Surroundings:
    """What a device meets outside its settings.

    Attributes:
        clock: gives the time of reception and of each step.
        backends: of the Bluetooth radio.
        link_times: patience of the Bluetooth links.
        poll_seconds: how often the intake folder is looked at.
        engine: preferred engine of the reduced model.
    """

    clock: Callable[[], datetime] = system_clock
    backends: BackendFactory = platform_backends
    link_times: LinkTimes = field(default_factory=LinkTimes)
    poll_seconds: float = 5.0
    engine: str | None = None


class Device:
    """One device: store, sources, runtime and sync client; a context manager that closes all of them.

    Args:
        settings: of the site.
        surroundings: clock and radio.
    """

    def __init__(self, settings: Settings, surroundings: Surroundings | None = None) -> None:
        self.settings = settings
        self._around = surroundings or Surroundings()
        self._closing = ExitStack()
        self.sync: SyncClient | None = None

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _open(self) -> None:
        settings = self.settings
        settings.store.parent.mkdir(parents=True, exist_ok=True)
        self.store = Store(settings.store)
        self._closing.callback(self.store.close)
        self._open_radio()
        self.sensors = {sensor.kind: self._sensor(sensor) for sensor in settings.sensors}
        self.intake = FolderSource(
            settings.intake,
            clock=self._around.clock,
            poll_seconds=self._around.poll_seconds,
            read=intake_reader(settings.questionnaire, self._refused_questionnaire),
        )
        start = self._model_start()
        plan = self._plan(start)
        self._enter_grants(plan)
        self.runtime = Runtime(
            self.store,
            plan,
            self.sources,
            clock=self._around.clock,
            outlet=self._outlet(settings.sync) if settings.sync else None,
            stepped=start.stepped,
        )

    def _refused_questionnaire(self, detail: str) -> None:
        """Keep it in the record that a content pack was refused."""
        event = DeviceEvent(DeviceEventKind.REFUSED, self._around.clock(), "survey:pack", detail)
        with self.store.transaction():
            self.store.add_events([event])

    def _open_radio(self) -> None:
        """What the sensors share: one scan, one memory in the store, and the frames if they are kept."""
        self._finder = Finder(self._around.backends, self._around.link_times)
        self._memory = SqliteMemory(self.store.database.conn)
        self._frames = None if self.settings.frames is None else FrameStore(self.settings.frames)
        if self._frames is not None:
            self._closing.callback(self._frames.close)

    async def _stored(self) -> None:
        await self.runtime.settled()

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every source of the device."""
        return (*self.sensors.values(), self.intake)

    async def run(self) -> None:
        """Run until every source has ended; cancellation ends it in order."""
        try:
            await self.runtime.run()
        finally:
            await asyncio.shield(self.end_sources())

    async def end_sources(self) -> None:
        """Ask every source to end."""
        for sensor in self.sensors.values():
            await sensor.aclose()
        await self.intake.aclose()

    def _model_start(self) -> ModelStart:
        name, trusted = self.settings.program.bundle, trusted_keys(self.settings.trusted)
        self._models, self._trusted = installed_models(self.settings.models, trusted, self._around.clock), trusted
        return ModelStart(name, self._models, lambda: load_bundle(bundle_path(name), trusted), self._note_model)

    def _note_model(self, sentence: str) -> None:
        """In the table of events, for whoever asks later which version ran and why."""
        with self.store.transaction():
            self.store.add_events([DeviceEvent(DeviceEventKind.MODEL, self._around.clock(), "models", sentence)])
            self.store.count(f"event_{DeviceEventKind.MODEL}")

    def _plan(self, start: ModelStart) -> Plan:
        settings, bundle = self.settings, start.open()
        model = self._running(bundle) if bundle else None
        further = tuple(filter(None, map(self._further, settings.program.further_bundles)))
        program, doses = settings.program, settings.doses
        return Plan(
            settings.time_zone,
            program,
            model,
            doses,
            settings.seed,
            settings.members,
            further,
            care=settings.care,
            trust=settings.trust,
        )

    def _enter_grants(self, plan: Plan) -> None:
        """Grants of trust that lie in the site's folder; a refused one is noted and changes nothing."""
        folder, bundle = self.settings.grants, plan.model.id if plan.model else ""
        if folder is not None:
            entrance = Entrance(self.store, cover_of(plan.program, bundle), plan.trust)
            entrance.enter_all(folder, self._around.clock(), self._note_model)

    def _running(self, bundle: Bundle) -> Model:
        return running_model(bundle, self._around.engine, self._models, self._trusted)

    def _further(self, name: str) -> Model | None:
        """A model for other drugs; left out where it cannot be trusted: what only it covers is refused."""
        try:
            return self._running(active_bundle(name, self._models, self._trusted))
        except BundleError as error:
            _LOG.error("model %s is left out: %s", name, error)
            self._note_model(f"left_out {name}: {error.reason}")
            return None

    def _sensor(self, sensor: Sensor) -> BleSource:
        if sensor.kind not in PROFILES:
            raise AppError(f"no sensor kind {sensor.kind!r}", reason="unknown_sensor")
        name = f"ble:{sensor.kind}"
        return BleSource(
            sensor.address,
            PROFILES[sensor.kind],
            clock=self._around.clock,
            rng=random.Random(sensor.address),  # noqa: S311 - jitter of the back-off, not a secret
            context=DecodeContext(source=name, patient_zone=ZoneInfo(self.settings.time_zone)),
            backends=self._around.backends,
            times=self._around.link_times,
            on_frame=None if self._frames is None else self._frames.keeper(name),
            security=sensor.security,
            memory=self._memory,
            stored=self._stored,
            finder=self._finder,
        )

    def _outlet(self, sync: SyncSettings) -> OutboxOutlet:
        keys = DeviceKeys.load(sync.keys)
        sealer = Sealer(keys)
        transport = PahoTransport(_mqtt(sync, sealer.dev), random.Random())  # noqa: S311 - jitter
        self.sync = SyncClient(self.settings.store, sealer, keys.ack_keys, transport)
        outlet = OutboxOutlet(Outbox(self.store.database, sealer), self.store.flags)
        self.sync.start()
        self._closing.callback(self.sync.stop)
        return outlet


def _mqtt(sync: SyncSettings, dev: str) -> MqttSettings:
    tls = None
    if sync.cafile:
        tls = ssl.create_default_context(cafile=sync.cafile)
        if sync.certfile:
            tls.load_cert_chain(sync.certfile, sync.keyfile)
    return MqttSettings(sync.host, sync.port, dev, (ack_topic(dev),), status_topic(dev), tls)
