"""What the decoders of all characteristics share: a byte reader, the context, and names of characteristics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from types import MappingProxyType

from edge_twin.observation import DeviceEvent, Observation, Site, Waveform
from edge_twin_adapters.ble.cgm_feature import CgmFeature
from edge_twin_adapters.ble.polar_stream import Measurement, PmdStream
from edge_twin_adapters.ble.vendor_map import VendorMap
from edge_twin_adapters.errors import DecodeError

Item = Observation | Waveform | DeviceEvent

# Bluetooth Core, Vol 3 Part F 3.2.9: an attribute value is at most 512 octets.
MAX_ATTRIBUTE_BYTES = 512

# Bluetooth Core, Vol 3 Part B 2.5.1: a 16-bit UUID abbreviates 0000xxxx + this base.
_BASE_UUID_TAIL = "-0000-1000-8000-00805f9b34fb"
_SHORT_UUID_DIGITS = 4


def _no_streams() -> Mapping[Measurement, PmdStream]:
    return MappingProxyType({})


def _no_map() -> VendorMap:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class DecodeContext:
    """What a decoder has to know beside the payload.

    Attributes:
        source: name of the device for provenance, without patient data.
        patient_zone: zone in which the device's clock was set (GATT Date Time carries none); None when
            it is not known, and then no time of the device is used.
        site: where the device measures, from its Temperature Type (2A1D) or its manual, used when the
            payload does not say.
        clock_tolerance: how far a device's clock may be ahead of the receiver's and still be believed,
            and how old a reading is that counts as read from storage. Ten minutes: assumed.
        max_age: the oldest stored reading whose device time is believed; a clock that was never set
            starts years ago. 31 days: assumed.
        cgm_feature: what the glucose sensor said of itself (2AA8); None when it was not read.
        cgm_session_start: when its session began (2AAA), aware; its records count minutes from there.
        clock_offset: what to add to the reading of a Polar sensor's clock, taken as UTC, to get the host's
            time (from a regression over many frames); None when it is not known.
        polar: the running measurements of a Polar sensor; see :func:`polar.following`.
        vendor: characteristics that a vendor map describes; see :mod:`vendor_map`.
    """

    source: str = "ble"
    patient_zone: tzinfo | None = None
    site: Site | None = None
    clock_tolerance: timedelta = timedelta(minutes=10)
    max_age: timedelta = timedelta(days=31)
    cgm_feature: CgmFeature | None = None
    cgm_session_start: datetime | None = None
    clock_offset: timedelta | None = None
    polar: Mapping[Measurement, PmdStream] = field(default_factory=_no_streams)
    vendor: VendorMap = field(default_factory=_no_map)


Decoder = Callable[[bytes, datetime, DecodeContext], list[Item]]


class Reader:
    """Reads little-endian fields from the start of a payload and knows where it stands.

    Args:
        payload: the whole characteristic value.

    Raises:
        DecodeError: ``too_long`` when the payload cannot be an attribute value.
    """

    def __init__(self, payload: bytes) -> None:
        if len(payload) > MAX_ATTRIBUTE_BYTES:
            message = f"{len(payload)} bytes are more than an attribute can have"
            raise DecodeError(message, reason="too_long", offset=MAX_ATTRIBUTE_BYTES)
        self._payload = payload
        self.offset = 0

    @property
    def remaining(self) -> int:
        """Number of bytes not read yet."""
        return len(self._payload) - self.offset

    def take(self, count: int, field: str) -> bytes:
        """The next ``count`` bytes.

        Raises:
            DecodeError: ``truncated``, with the offset at which ``field`` should begin.
        """
        if self.remaining < count:
            message = f"{field} needs {count} bytes, {self.remaining} are left"
            raise DecodeError(message, reason="truncated", offset=self.offset)
        start = self.offset
        self.offset += count
        return self._payload[start : self.offset]

    def u8(self, field: str) -> int:
        """The next unsigned byte; errors as :meth:`take`."""
        return self.take(1, field)[0]

    def u16(self, field: str) -> int:
        """The next unsigned 16-bit number; errors as :meth:`take`."""
        return int.from_bytes(self.take(2, field), "little")

    def finish(self) -> None:
        """Make sure that nothing is left over.

        Raises:
            DecodeError: ``trailing_bytes``, with the offset of the first byte that no flag announces.
        """
        if self.remaining:
            message = f"{self.remaining} bytes more than the flags announce"
            raise DecodeError(message, reason="trailing_bytes", offset=self.offset)


def short_uuid(characteristic: str) -> str:
    """The lower-case 16-bit form of a UUID where it has one, else the lower-case UUID itself."""
    text = characteristic.strip().lower()
    if text.startswith("0000") and text.endswith(_BASE_UUID_TAIL):
        return text[4:8]
    return text


def long_uuid(characteristic: str) -> str:
    """The lower-case 128-bit form of a UUID, as bleak compares them."""
    text = characteristic.strip().lower()
    return f"0000{text}{_BASE_UUID_TAIL}" if len(text) == _SHORT_UUID_DIGITS else text
