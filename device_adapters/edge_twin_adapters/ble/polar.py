"""Polar Measurement Data: data frames (FB005C82), in both directions.

A vendor protocol; the source is polarofficial/polar-ble-sdk, ``PmdDataFrame.kt`` and the parsers named in
:mod:`edge_twin_adapters.ble.polar_layout`. Header: measurement u8 (low six bits), device time u64 of the
last sample, frame type u8 (bit 7: compressed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge_twin.errors import ObservationError
from edge_twin.observation import DeviceEvent, DeviceEventKind, Waveform, as_utc, sample
from edge_twin_adapters.ble import polar_ppi
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.polar_delta import (
    Rows,
    as_float32,
    read_compressed,
    read_integers,
    write_compressed,
    write_integers,
)
from edge_twin_adapters.ble.polar_layout import LAYOUTS, Layout
from edge_twin_adapters.ble.polar_stream import Measurement, PmdStream
from edge_twin_adapters.ble.polar_time import NS_PER_SECOND, Spacing, place, spacing
from edge_twin_adapters.errors import AdapterError, DecodeError

SERVICE = "fb005c80-02e7-f387-1cad-8acd2d8df0c8"
CHARACTERISTIC = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"

_TYPE_MASK = 0x3F
_COMPRESSED = 0x80
_STATUS_MASK = 0xFFFFFF
_NS_PER_US = 1000
_HEADER_BYTES = 10


@dataclass(frozen=True, slots=True)
class PmdHeader:
    """The ten bytes before the samples.

    Attributes:
        measurement: what is streamed.
        time_ns: device time of the last sample, ns since 2000-01-01; 0 when the device gives none.
        frame_type: layout of the samples within the measurement.
        compressed: whether they are differences.
    """

    measurement: Measurement
    time_ns: int
    frame_type: int
    compressed: bool


def read_header(reader: Reader) -> PmdHeader:
    """Read the header of a data frame.

    Raises:
        DecodeError: ``truncated``, or ``unsupported_frame`` for a measurement that the SDK does not know.
    """
    number = reader.u8("measurement type") & _TYPE_MASK
    time_ns = int.from_bytes(reader.take(8, "time stamp"), "little")
    frame_type = reader.u8("frame type")
    try:
        measurement = Measurement(number)
    except ValueError as error:
        message = f"unknown measurement type {number}"
        raise DecodeError(message, reason="unsupported_frame", offset=0) from error
    return PmdHeader(measurement, time_ns, frame_type & ~_COMPRESSED, bool(frame_type & _COMPRESSED))


def decode_pmd(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One waveform, or for PPI a heart rate and a pulse interval for each pulse; see the modules named above.

    A ``GAP`` event comes first when samples were lost since the previous frame. Attributes of a waveform:
    those of :func:`polar_time.place` and ``rate_source`` (:class:`polar_time.Spacing`).

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long``, ``no_samples``, ``invalid_delta_size``,
            ``unsupported_frame``, ``factor_unknown`` when only FACTOR gives the numbers a unit, or
            ``not_a_number``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    received = as_utc(received)
    reader = Reader(payload)
    header = read_header(reader)
    if header.measurement is Measurement.PPI and not header.compressed and header.frame_type == 0:
        return polar_ppi.read_pulses(reader, header.time_ns, received, context)
    layout = LAYOUTS.get((header.measurement, header.compressed, header.frame_type))
    if layout is None:
        message = f"no samples are read from {header.measurement.name} frames of type {header.frame_type}"
        raise DecodeError(message, reason="unsupported_frame", offset=_HEADER_BYTES - 1)
    stream = context.polar.get(header.measurement, PmdStream())
    rows = _read_rows(reader, header, layout, stream)
    return _on_the_time_axis(rows, header, layout, stream, received, context)


def _read_rows(reader: Reader, header: PmdHeader, layout: Layout, stream: PmdStream) -> NDArray[np.float64]:
    """Samples in the code's unit, shape [samples, channels]."""
    if layout.factor_required and stream.factor is None:
        message = f"{header.measurement.name} needs the FACTOR of the start response"
        raise DecodeError(message, reason="factor_unknown", offset=_HEADER_BYTES)
    if not reader.remaining:
        raise DecodeError("a frame without samples", reason="no_samples", offset=reader.offset)
    columns = len(layout.channels)
    if header.compressed:
        numbers = read_compressed(reader, columns, layout.width)
    else:
        size = columns * layout.width
        whole = reader.take(reader.remaining // size * size, "samples")
        reader.finish()
        numbers = read_integers(whole, layout.width).reshape(-1, columns)
    values = _scaled(numbers, layout, stream) if header.compressed else _plain(numbers, layout)
    if layout.has_status:
        values[:, -1] = numbers[:, -1] & _STATUS_MASK
    return values


def _plain(numbers: Rows, layout: Layout) -> NDArray[np.float64]:
    """Numbers of a raw frame, which are in the unit already: its FACTOR only describes the sensor (SDK)."""
    return as_float32(numbers) if layout.is_float else numbers.astype(np.float64)


def _scaled(numbers: Rows, layout: Layout, stream: PmdStream) -> NDArray[np.float64]:
    factor = (1.0 if stream.factor is None else stream.factor) * layout.scale
    values = _plain(numbers, layout)
    if factor != 1.0:
        values *= factor
    if layout.divisor != 1.0:
        values /= layout.divisor
    return values


def _on_the_time_axis(  # noqa: PLR0913, PLR0917 - what is known of the frame meets here, once
    rows: NDArray[np.float64],
    header: PmdHeader,
    layout: Layout,
    stream: PmdStream,
    received: datetime,
    context: DecodeContext,
) -> list[Item]:
    last, attributes = place(header.time_ns, received, context)
    steps = spacing(header.time_ns, len(rows), stream, layout.usual_rate_hz)
    start = last - timedelta(microseconds=round((len(rows) - 1) * steps.step_ns / _NS_PER_US))
    try:
        waveform = sample(
            layout.code,
            rows.tolist(),
            start=start,
            period_s=steps.step_ns / NS_PER_SECOND,
            channels=layout.channels,
            source=context.source,
            attributes=attributes | {"rate_source": steps.source},
        )
    except ObservationError as error:
        raise DecodeError(str(error), reason=error.reason, offset=_HEADER_BYTES) from error
    return [*_gap(steps, waveform), waveform]


def _gap(steps: Spacing, waveform: Waveform) -> list[Item]:
    if not steps.missing:
        return []
    since = waveform.start - timedelta(seconds=(steps.missing + 1) * waveform.period_s)
    detail = f"samples_missing count={steps.missing} stream={waveform.code.name}"
    return [DeviceEvent(DeviceEventKind.GAP, since, waveform.source, detail, waveform.start)]


def following(context: DecodeContext, payload: bytes) -> DecodeContext:
    """The context for the frame after ``payload``: its time is then the previous one of its measurement.

    A frame that has no samples to be spaced, or cannot be read, leaves the context as it is.
    """
    try:
        header = read_header(Reader(payload))
    except DecodeError:
        return context
    if (header.measurement, header.compressed, header.frame_type) not in LAYOUTS or not header.time_ns:
        return context
    stream = replace(context.polar.get(header.measurement, PmdStream()), previous_ns=header.time_ns)
    return with_stream(context, header.measurement, stream)


def with_stream(context: DecodeContext, measurement: Measurement, stream: PmdStream | None) -> DecodeContext:
    """The context with a measurement that was started, or without one that was stopped (None)."""
    streams = {known: value for known, value in context.polar.items() if known is not measurement}
    if stream is not None:
        streams[measurement] = stream
    return replace(context, polar=MappingProxyType(streams))


def encode_pmd(  # noqa: PLR0913 - one keyword for each field of the frame, named at every call
    measurement: Measurement,
    rows: Sequence[Sequence[int]],
    *,
    time_ns: int,
    frame_type: int = 0,
    compressed: bool = False,
    block: int = 255,
) -> bytes:
    """The data frame that a sensor sends.

    Args:
        measurement: what is streamed; not PPI, see :func:`polar_ppi.encode_pulses`.
        rows: raw numbers (before FACTOR; the 32 bits of a single precision number), oldest first.
        time_ns: device time of the last sample.
        frame_type: layout.
        compressed: send differences.
        block: most samples in one block of differences.

    Raises:
        AdapterError: ``unsupported_frame``, ``out_of_range`` or ``no_samples``.
    """
    layout = LAYOUTS.get((measurement, compressed, frame_type))
    if layout is None or any(len(row) != len(layout.channels) for row in rows):
        raise AdapterError(f"no such {measurement.name} frame", reason="unsupported_frame")
    header = encode_header(PmdHeader(measurement, time_ns, frame_type, compressed))
    if compressed:
        return header + write_compressed(rows, layout.width, block=block)
    return header + write_integers([number for row in rows for number in row], layout.width)


def encode_header(header: PmdHeader) -> bytes:
    """The ten bytes of a header.

    Raises:
        AdapterError: ``out_of_range`` for a time that does not fit 64 bits.
    """
    if not 0 <= header.time_ns < 1 << 64:
        raise AdapterError("a device time is an unsigned 64-bit number", reason="out_of_range")
    frame_type = header.frame_type | (_COMPRESSED if header.compressed else 0)
    return bytes([header.measurement]) + header.time_ns.to_bytes(8, "little") + bytes([frame_type])
