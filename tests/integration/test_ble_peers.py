"""Virtual sensors of every profile over the virtual radio: what they send is what they entered in the ledger."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError, BleakGATTProtocolError

from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Waveform
from edge_twin_adapters.ble import cgm_control, polar_control, record_access
from edge_twin_adapters.ble.advertisement import Repeats, decode_advertisement
from edge_twin_adapters.ble.cgm_control import Op as CgmOp
from edge_twin_adapters.ble.cgm_control import encode_cgm_command
from edge_twin_adapters.ble.cgm_session import read_cgm_feature, read_session_start
from edge_twin_adapters.ble.current_time import clock_setting, encode_current_time, read_current_time
from edge_twin_adapters.ble.decode import DECODERS, decode
from edge_twin_adapters.ble.frame import DecodeContext, Item, long_uuid, short_uuid
from edge_twin_adapters.ble.peers.accounting import Account, account
from edge_twin_adapters.ble.peers.broadcast import BroadcastPeer
from edge_twin_adapters.ble.peers.catalogue import MAKERS, make_sensor
from edge_twin_adapters.ble.peers.faults import Fault, FaultKind, plan_faults
from edge_twin_adapters.ble.peers.ledger import Fate
from edge_twin_adapters.ble.peers.peer import VirtualPeer
from edge_twin_adapters.ble.peers.polar_strap import PolarStrapPeer, usual_start
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime
from edge_twin_adapters.ble.polar import following, with_stream
from edge_twin_adapters.ble.polar_control import read_response, settings_request, start_request, stop_request, stream_of
from edge_twin_adapters.ble.polar_stream import Measurement
from edge_twin_adapters.ble.record_access import Answer, Op, Operator, Request, encode_request, report_from
from edge_twin_adapters.ble.virtual import VirtualRadio
from edge_twin_adapters.errors import AdapterError, DecodeError

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
RACP = long_uuid(record_access.CHARACTERISTIC)
BROADCASTS = ("room_broadcast", "mi_scale")
CONNECTABLE = [kind for kind in MAKERS if kind not in BROADCASTS]
SHOWN_ONLY = {"2a2b", "2a52", "2aac", polar_control.CHARACTERISTIC}


class Listener:
    """The simplest central: subscribes to everything, decodes at once, keeps every item."""

    def __init__(self, radio: VirtualRadio, sensor: VirtualPeer, time: SimulatedTime) -> None:
        self.radio, self.sensor, self.time = radio, sensor, time
        self.items: list[Item] = []
        self.answers: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.context = DecodeContext(source=sensor.name, patient_zone=UTC)
        self.client: BleakClient

    async def connect(self, *, pair: bool = False) -> None:
        scanner = self.radio.backends().scanner
        assert scanner is not None
        device = await BleakScanner.find_device_by_address(self.sensor.address, timeout=5, backend=scanner)
        assert device is not None
        self.client = BleakClient(device, timeout=5, backend=self.radio.backends().client)
        await self.client.connect()
        if pair:
            await self.client.pair()

    async def subscribe(self) -> None:
        for service in self.client.services:
            for characteristic in service.characteristics:
                if {"notify", "indicate"} & set(characteristic.properties):
                    await self.client.start_notify(characteristic, self._receive)

    def _receive(self, characteristic: object, value: bytearray) -> None:
        uuid, payload = short_uuid(getattr(characteristic, "uuid", "")), bytes(value)
        if uuid in SHOWN_ONLY:
            self.answers.put_nowait((uuid, payload))
        try:
            self.items += decode(uuid, payload, self.time.now(), context=self.context)
        except DecodeError as error:
            self.items.append(DeviceEvent(DeviceEventKind.REFUSED, self.time.now(), self.sensor.name, error.reason))
        self.context = following(self.context, payload) if uuid.startswith("fb005c82") else self.context

    async def ask(self, uuid: str, request: bytes) -> bytes:
        await self.client.write_gatt_char(long_uuid(uuid), request, response=True)
        async with asyncio.timeout(5):
            return (await self.answers.get())[1]

    def accounts(self) -> dict[str, Account]:
        return {one.stream: one for one in account(self.sensor.name, self.sensor.ledger, self.items)}


@asynccontextmanager
async def listening(
    kind: str, *, subscribe: bool = True, protected: bool = False
) -> AsyncIterator[tuple[Listener, SimulatedTime]]:
    time = SimulatedTime(START)
    async with VirtualRadio() as radio:
        sensor = make_sensor(kind, radio, time, seed=7, protected=protected)
        assert isinstance(sensor, VirtualPeer)
        await sensor.begin()
        listener = Listener(radio, sensor, time)
        await listener.connect(pair=protected)
        if subscribe:
            await listener.subscribe()
        yield listener, time
        if listener.client.is_connected:
            await listener.client.disconnect()


async def settle(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the conditions have no events
            await asyncio.sleep(0.001)


SECONDS = {"heart_rate": 120, "polar": 60, "oximeter": 120, "running": 120, "room": 120, "cgm": 3600}


async def start_polar(listener: Listener, *kinds: Measurement) -> None:
    for kind in kinds:
        wanted = usual_start(kind)
        answer = await listener.ask(polar_control.CHARACTERISTIC, start_request(kind, wanted))
        listener.context = with_stream(listener.context, kind, stream_of(wanted, read_response(answer)))


@pytest.mark.parametrize("kind", CONNECTABLE)
async def test_everything_that_a_sensor_measures_arrives_as_it_was_measured(kind: str) -> None:
    async with listening(kind) as (listener, time):
        if kind == "polar":
            await start_polar(listener, Measurement.ECG, Measurement.ACC, Measurement.PPI)
        await time.run(SECONDS.get(kind, 90_000))
        if kind == "glucose":
            answer = await listener.ask("2a52", encode_request(Request(Op.REPORT, Operator.ALL)))
            assert answer == bytes.fromhex("06000101")
        accounts = listener.accounts()
        await settle(lambda: all(one.waiting == 0 for one in listener.accounts().values()))
        accounts = listener.accounts()
        assert accounts
        for one in accounts.values():
            assert one.measured > 0
            assert one.once == one.measured, (one.row(), one.unexplained[:3], listener.items[:3])
            assert one.is_closed
        assert not [item for item in listener.items if isinstance(item, DeviceEvent) and item.kind.value == "refused"]


async def test_rates_of_the_polar_strap_are_those_that_were_asked_for() -> None:
    async with listening("polar") as (listener, time):
        await start_polar(listener, Measurement.ECG, Measurement.ACC)
        await time.run(600)
        samples = {"ecg": 0, "acceleration": 0}
        for item in listener.items:
            if isinstance(item, Waveform):
                samples[item.code.name] += len(item.samples)
                assert item.period_s == pytest.approx(1 / 130 if item.code.name == "ecg" else 1 / 50, rel=1e-4)
        assert samples["ecg"] == pytest.approx(130 * 600, abs=73)
        assert samples["acceleration"] == pytest.approx(50 * 600, abs=50)


async def test_the_polar_strap_answers_settings_and_stops_when_told() -> None:
    async with listening("polar") as (listener, time):
        sensor = listener.sensor
        assert isinstance(sensor, PolarStrapPeer)
        offered = read_response(await listener.ask(polar_control.CHARACTERISTIC, settings_request(Measurement.ACC)))
        assert polar_control.read_settings(offered.parameters)[polar_control.Setting.SAMPLE_RATE] == (25, 50, 100, 200)
        await start_polar(listener, Measurement.ECG)
        assert sensor.is_streaming == {Measurement.ECG}
        await time.run(10)
        await listener.ask(polar_control.CHARACTERISTIC, stop_request(Measurement.ECG))
        assert not sensor.is_streaming
        before = len(sensor.ledger.of("ecg"))
        await time.run(10)
        assert len(sensor.ledger.of("ecg")) == before > 0


async def test_what_a_polar_strap_could_not_send_is_told_by_its_next_frame() -> None:
    async with listening("polar") as (listener, time):
        await start_polar(listener, Measurement.ECG)
        await time.run(30)
        await listener.sensor.inject(Fault(0, FaultKind.DROP, listener.sensor.name, 8))
        await time.run(30)
        ecg = listener.accounts()["ecg"]
        dropped = listener.sensor.ledger.fates("ecg")[Fate.DROPPED]
        assert 0 < dropped <= 8
        assert (ecg.in_gap, ecg.once) == (dropped, ecg.measured - dropped)
        # A heart rate has neither time nor number: what was dropped is simply missing, and counted so.
        rr = listener.accounts()["rr_interval"]
        assert rr.missing == listener.sensor.ledger.fates("rr_interval").get(Fate.DROPPED, 0) > 0
        assert not rr.is_closed


async def test_a_storing_sensor_keeps_what_nobody_confirmed() -> None:
    async with listening("thermometer", subscribe=False) as (listener, time):
        await time.run(4 * 3600)
        assert listener.sensor.ledger.fates("body_temperature") == {Fate.STORED: 8}
        assert listener.accounts()["body_temperature"].waiting == 8
        await listener.subscribe()
        await settle(lambda: listener.accounts()["body_temperature"].once == 8)
        readings = [item for item in listener.items if isinstance(item, Observation)]
        assert [item.time for item in readings] == [START + timedelta(seconds=300 + 1800 * n) for n in range(8)]
        assert readings[0].attributes["recorded"] == "stored"


async def test_records_are_reported_counted_deleted_and_resumed() -> None:
    async with listening("glucose") as (listener, time):
        await time.run(5 * 14_400)
        assert await listener.ask("2a52", encode_request(Request(Op.COUNT))) == bytes.fromhex("05000500")
        assert await listener.ask("2a52", report_from(3)) == bytes.fromhex("06000101")
        numbers = [i.attributes["record_sequence"] for i in listener.items if isinstance(i, Observation)]
        assert numbers == ["3", "4"]
        told = [i.detail for i in listener.items if isinstance(i, DeviceEvent) and i.kind is DeviceEventKind.STATUS]
        assert told == ["glucose_context record_sequence=3 meal=after_meal"]
        assert await listener.ask("2a52", report_from(9)) == bytes.fromhex("06000106")
        assert await listener.ask("2a52", encode_request(Request(Op.DELETE, Operator.UP_TO, (1,)))) == bytes.fromhex(
            "06000201"
        )
        assert await listener.ask("2a52", encode_request(Request(Op.COUNT))) == bytes.fromhex("05000300")


@pytest.mark.parametrize(
    ("request_", "answer"),
    [("09 01", Answer.OP_NOT_SUPPORTED), ("01 09", Answer.INVALID_OPERATOR), ("01 03 07 0000", 9), ("01 03 01 00", 5)],
)
async def test_a_bad_request_is_answered_with_its_reason(request_: str, answer: int) -> None:
    async with listening("glucose") as (listener, _):
        request = bytes.fromhex(request_)
        assert await listener.ask("2a52", request) == bytes([6, 0, request[0], answer])


async def test_a_request_without_subscriptions_is_refused() -> None:
    async with listening("glucose", subscribe=False) as (listener, _):
        with pytest.raises(BleakGATTProtocolError) as caught:
            await listener.client.write_gatt_char(RACP, encode_request(Request(Op.COUNT)), response=True)
        assert caught.value.code == 0xFD


async def test_a_stalled_report_leaves_its_rest_for_the_next_request() -> None:
    async with listening("glucose") as (listener, time):
        await time.run(6 * 14_400)
        await listener.sensor.inject(Fault(0, FaultKind.STALLED_BACKFILL, listener.sensor.name, 2))
        await listener.client.write_gatt_char(RACP, encode_request(Request(Op.REPORT)), response=True)
        await settle(lambda: listener.accounts()["glucose"].once == 2)
        for _ in range(50):
            await asyncio.sleep(0)
        assert listener.answers.empty()
        assert await listener.ask("2a52", report_from(2)) == bytes.fromhex("06000101")
        assert listener.accounts()["glucose"].once == 6


async def test_the_glucose_sensor_says_what_it_is_and_obeys_commands_with_crc() -> None:
    async with listening("cgm") as (listener, time):
        feature = read_cgm_feature(bytes(await listener.client.read_gatt_char(long_uuid("2aa8"))))
        assert feature.has_crc
        listener.context = replace(listener.context, cgm_feature=feature)
        start = read_session_start(bytes(await listener.client.read_gatt_char(long_uuid("2aaa"))), crc=True)
        assert start.moment(None) == START
        answers = [
            await listener.ask("2aac", encode_cgm_command(op, operand, crc=True))
            for op, operand in (
                (CgmOp.SET_HYPO, cgm_control.level_operand(Decimal(60))),
                (CgmOp.GET_HYPO, b""),
                (CgmOp.GET_INTERVAL, b""),
                (CgmOp.SET_INTERVAL, b"\x01"),
                (CgmOp.STOP_SESSION, b""),
                (CgmOp.STOP_SESSION, b""),
                (CgmOp.GET_CALIBRATION, b""),
            )
        ]
        told = [decode("2aac", one, START, context=listener.context)[0] for one in answers]
        assert [one.detail.removeprefix("cgm_control ") for one in told if isinstance(one, DeviceEvent)] == [
            "answer=response request=set_hypo result=success",
            "answer=hypo mg_dl=60",
            "answer=interval minutes=5",
            "answer=response request=set_interval result=success",
            "answer=response request=stop_session result=success",
            "answer=response request=stop_session result=not_completed",
            "answer=response request=get_calibration result=op_not_supported",
        ]
        await time.run(3600)
        assert len(listener.sensor.ledger) == 0
        with pytest.raises(BleakGATTProtocolError) as caught:
            await listener.client.write_gatt_char(
                long_uuid("2aac"), encode_cgm_command(CgmOp.GET_HYPO) + b"\x00\x00", response=True
            )
        assert caught.value.code == 0x81


async def test_damaged_payloads_are_refused_and_counted() -> None:
    async with listening("cgm") as (listener, time):
        listener.context = replace(
            listener.context,
            cgm_feature=read_cgm_feature(bytes(await listener.client.read_gatt_char(long_uuid("2aa8")))),
        )
        await listener.sensor.inject(Fault(0, FaultKind.WRONG_CRC, listener.sensor.name, 2))
        await time.run(3600)
        one = listener.accounts()["glucose_interstitial"]
        assert (one.measured, one.once, one.refused, one.missing) == (12, 10, 2, 0)
        reasons = [i.detail for i in listener.items if isinstance(i, DeviceEvent)]
        assert reasons == ["wrong_crc", "wrong_crc"]


async def test_a_delay_changes_the_time_and_not_the_content() -> None:
    async with listening("oximeter") as (listener, time):
        await time.run(10)
        await listener.sensor.inject(Fault(0, FaultKind.DELAY, listener.sensor.name, 15))
        await time.run(14)
        assert listener.accounts()["oxygen_saturation"].once == 11
        await time.run(60)
        one = listener.accounts()["oxygen_saturation"]
        assert (one.once, one.measured) == (85, 85)


async def test_a_low_battery_is_notified() -> None:
    async with listening("oximeter") as (listener, time):
        await listener.sensor.inject(Fault(0, FaultKind.LOW_BATTERY, listener.sensor.name, 8))
        await time.run(2)
        assert DeviceEventKind.BATTERY_LOW in {i.kind for i in listener.items if isinstance(i, DeviceEvent)}
        assert bytes(await listener.client.read_gatt_char(long_uuid("2a19"))) == b"\x08"


async def test_a_clock_that_was_reset_shows_2019_until_it_is_set() -> None:
    async with listening("thermometer") as (listener, time):
        await time.run(600)
        await listener.sensor.inject(Fault(0, FaultKind.CLOCK_RESET, listener.sensor.name))
        await time.run(1800)
        await settle(lambda: listener.accounts()["body_temperature"].waiting == 0)
        first, second = (item for item in listener.items if isinstance(item, Observation))
        assert first.attributes["time_source"] == "device"
        assert second.attributes["device_time"].startswith("2019-01-01T00:25")
        assert second.attributes["time_source"] == "received"
        clock = long_uuid("2a2b")
        assert read_current_time(bytes(await listener.client.read_gatt_char(clock))).stamp.year == 2019
        await listener.client.write_gatt_char(clock, encode_current_time(clock_setting(time.now(), UTC)), response=True)
        assert listener.sensor.clock.is_set
        assert listener.accounts()["body_temperature"].once == 2


async def test_a_lost_link_is_a_loss_for_live_sensors_only() -> None:
    async with listening("oximeter") as (listener, time):
        await time.run(10)
        await listener.sensor.inject(Fault(0, FaultKind.DISCONNECT, listener.sensor.name, 30))
        await settle(lambda: not listener.client.is_connected)
        await time.run(60)
        await listener.connect()
        await listener.subscribe()
        await time.run(10)
        one = listener.accounts()["oxygen_saturation"]
        assert (one.measured, one.once, one.missing) == (81, 21, 60)


async def test_a_protected_sensor_needs_a_bond_and_can_lose_it() -> None:
    async with listening("blood_pressure", subscribe=False, protected=True) as (listener, time):
        connection = listener.sensor.connection
        assert connection is not None
        assert connection.is_encrypted
        await listener.subscribe()
        await time.run(8000)
        await settle(lambda: listener.accounts()["systolic_pressure"].once == 2)
        await listener.sensor.inject(Fault(0, FaultKind.LOST_BOND, listener.sensor.name))
        await settle(lambda: not listener.client.is_connected)
        await time.run(1)
        with pytest.raises(BleakError, match="PIN_OR_KEY_MISSING"):
            await listener.connect()
        await listener.client.unpair()
        await listener.connect()
        with pytest.raises(BleakGATTProtocolError) as caught:
            await listener.subscribe()
        assert caught.value.code == 0x0F
        await listener.client.pair()
        await listener.client.read_gatt_char(long_uuid("2a49"))


async def test_a_bonded_sensor_is_encrypted_again_after_a_lost_link() -> None:
    async with listening("cgm", protected=True) as (listener, time):
        await listener.sensor.inject(Fault(0, FaultKind.DISCONNECT, listener.sensor.name, 0))
        await settle(lambda: not listener.client.is_connected)
        await time.run(1)
        await listener.connect()
        connection = listener.sensor.connection
        assert connection is not None
        assert connection.is_encrypted
        await listener.subscribe()
        await time.run(600)
        assert listener.accounts()["glucose_interstitial"].once == 2


async def test_the_handle_of_a_lost_link_is_not_given_to_the_next_one() -> None:
    async with listening("oximeter") as (listener, time):
        handles = []
        for _ in range(3):
            connection = listener.sensor.connection
            assert connection is not None
            handles.append(connection.handle)
            await listener.sensor.inject(Fault(0, FaultKind.DISCONNECT, listener.sensor.name, 0))
            await settle(lambda: not listener.client.is_connected)
            await time.run(1)
            await listener.connect()
        assert len(set(handles)) == 3


@pytest.mark.parametrize("kind", BROADCASTS)
async def test_a_broadcast_is_read_without_a_connection(kind: str) -> None:
    time = SimulatedTime(START)
    async with VirtualRadio() as radio:
        sensor = make_sensor(kind, radio, time, seed=3)
        assert isinstance(sensor, BroadcastPeer)
        await sensor.begin()
        items: list[Item] = []
        repeats = Repeats()

        def seen(device: object, advertisement: object) -> None:
            data = getattr(advertisement, "service_data", {})
            address = getattr(device, "address", "")
            if repeats.is_new(address, data, {}):
                items.extend(decode_advertisement(data, {}, time.now(), context=DecodeContext(patient_zone=UTC)))

        async with BleakScanner(seen, backend=radio.backends().scanner):
            for _ in range(3):
                await time.run(43_200 if kind == "mi_scale" else 60)
                await settle(lambda: len(sensor.ledger) == len(items))
        accounts = account(sensor.name, sensor.ledger, items)
        assert len(accounts) == 2
        for one in accounts:
            assert (one.measured, one.once) == (3, 3)
            assert one.is_closed


def seeded() -> random.Random:
    return random.Random(5)  # noqa: S311 - a plan, no secret


def test_a_plan_of_faults_is_the_same_for_the_same_seed_and_in_order() -> None:
    wanted = {
        FaultKind.DISCONNECT: (20, ["a", "b"]),
        FaultKind.LOST_BOND: (2, ["b"]),
        FaultKind.CLOCK_RESET: (1, ["a"]),
    }
    plan = plan_faults(seeded(), 86_400, wanted)
    assert plan == plan_faults(seeded(), 86_400, wanted)
    assert [fault.at_s for fault in plan] == sorted(fault.at_s for fault in plan)
    assert sum(fault.kind is FaultKind.DISCONNECT for fault in plan) == 20
    assert {fault.sensor for fault in plan if fault.kind is FaultKind.LOST_BOND} == {"b"}
    with pytest.raises(AdapterError) as caught:
        plan_faults(seeded(), 60, {FaultKind.DROP: (1, [])})
    assert caught.value.reason == "bad_fault"
    with pytest.raises(AdapterError):
        Fault(-1, FaultKind.DROP, "a")


def test_an_unknown_sensor_is_refused_by_name() -> None:
    with pytest.raises(AdapterError) as caught:
        make_sensor("toaster", VirtualRadio(), SimulatedTime(START), seed=1)
    assert caught.value.reason == "unknown_sensor"


async def test_every_decoder_has_a_sensor_that_sends_its_characteristic() -> None:
    """What no sensor sends is named here, so that a new decoder is not forgotten."""
    radio = VirtualRadio()
    time = SimulatedTime(START)
    sent: set[str] = set()
    for kind in CONNECTABLE:
        sensor = make_sensor(kind, radio, time, seed=1)
        assert isinstance(sensor, VirtualPeer)
        sent |= {short_uuid(str(one)) for one in sensor.characteristics()}
    unsent = {"2a1e", "2a36"}
    assert set(DECODERS) - sent == unsent
