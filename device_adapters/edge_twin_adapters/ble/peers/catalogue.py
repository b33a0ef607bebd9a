"""The virtual sensors by name, with an address each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from edge_twin_adapters.ble.peers.broadcast import BroadcastPeer, MiScalePeer, RoomBroadcastPeer
from edge_twin_adapters.ble.peers.cgm_sensor import CgmPeer
from edge_twin_adapters.ble.peers.live import HeartRatePeer, OximeterPeer, RoomPeer, RunningPeer
from edge_twin_adapters.ble.peers.peer import Identity, VirtualPeer
from edge_twin_adapters.ble.peers.polar_strap import PolarStrapPeer
from edge_twin_adapters.ble.peers.recording import GlucosePeer, SpotOximeterPeer
from edge_twin_adapters.ble.peers.signals import recorded_beats
from edge_twin_adapters.ble.peers.simulated_time import SimulatedTime
from edge_twin_adapters.ble.peers.stored import BodyCompositionPeer, CuffPeer, ScalePeer, ThermometerPeer
from edge_twin_adapters.ble.virtual import VirtualRadio
from edge_twin_adapters.errors import AdapterError

Sensor = VirtualPeer | BroadcastPeer
Maker = Callable[[VirtualRadio, SimulatedTime, Identity, int], Sensor]

MAKERS: Mapping[str, Maker] = MappingProxyType(
    {
        "heart_rate": lambda radio, time, who, _: HeartRatePeer(radio, time, who, rr_ms=recorded_beats()),
        "polar": lambda radio, time, who, seed: PolarStrapPeer(radio, time, who, rr_ms=recorded_beats(), seed=seed),
        "oximeter": lambda radio, time, who, seed: OximeterPeer(radio, time, who, seed=seed),
        "spot_oximeter": lambda radio, time, who, seed: SpotOximeterPeer(radio, time, who, seed=seed),
        "thermometer": lambda radio, time, who, seed: ThermometerPeer(radio, time, who, seed=seed),
        "blood_pressure": lambda radio, time, who, seed: CuffPeer(radio, time, who, seed=seed),
        "weight": lambda radio, time, who, seed: ScalePeer(radio, time, who, seed=seed),
        "body_composition": lambda radio, time, who, seed: BodyCompositionPeer(radio, time, who, seed=seed),
        "glucose": lambda radio, time, who, seed: GlucosePeer(radio, time, who, seed=seed),
        "cgm": lambda radio, time, who, seed: CgmPeer(radio, time, who, seed=seed),
        "running": lambda radio, time, who, seed: RunningPeer(radio, time, who, seed=seed),
        "room": lambda radio, time, who, seed: RoomPeer(radio, time, who, seed=seed),
        "room_broadcast": lambda radio, time, who, seed: RoomBroadcastPeer(radio, time, who, seed=seed),
        "mi_scale": lambda radio, time, who, seed: MiScalePeer(radio, time, who, seed=seed),
    }
)

SITE_PROFILES: Mapping[str, str] = MappingProxyType(
    {
        "heart_rate": "chest_strap",
        "polar": "polar_strap",
        "oximeter": "oximeter",
        "spot_oximeter": "spot_oximeter",
        "thermometer": "thermometer",
        "blood_pressure": "cuff",
        "weight": "scale",
        "body_composition": "body_composition",
        "glucose": "glucose_meter",
        "cgm": "glucose_sensor",
        "running": "running_sensor",
        "room": "room_sensor",
    }
)
"""The profile, as settings name it, with which a site would use each sensor that can be connected to."""


def identity_of(kind: str, *, protected: bool = False) -> Identity:
    """Name and address of the sensor of this kind.

    Raises:
        AdapterError: ``unknown_sensor``.
    """
    if kind not in MAKERS:
        raise AdapterError(f"no virtual sensor {kind}; there are {', '.join(MAKERS)}", reason="unknown_sensor")
    number = list(MAKERS).index(kind) + 0x10
    return Identity(f"v-{kind}"[:20], f"C0:00:00:00:01:{number:02X}", model=kind, protected=protected)


def make_sensor(kind: str, radio: VirtualRadio, time: SimulatedTime, *, seed: int, protected: bool = False) -> Sensor:
    """A sensor of this kind, not yet switched on.

    Args:
        kind: one of :data:`MAKERS`.
        radio: where it is.
        time: when it measures.
        seed: of its readings.
        protected: its own services need an encrypted link; means nothing for one that only broadcasts.

    Raises:
        AdapterError: ``unknown_sensor``.
    """
    identity = identity_of(kind, protected=protected)
    return MAKERS[kind](radio, time, identity, seed)
