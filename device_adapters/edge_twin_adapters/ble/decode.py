"""One entry point for the values of all characteristics that are understood.

A new profile is one module with a decoder and one line in the table below.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from edge_twin_adapters.ble import (
    battery,
    blood_pressure,
    cgm,
    cgm_control,
    cgm_session,
    current_time,
    device_information,
    environment,
    glucose,
    glucose_context,
    heart_rate,
    oximeter,
    polar,
    polar_control,
    record_access,
    running,
    scales,
    thermometer,
    vendor,
)
from edge_twin_adapters.ble.frame import DecodeContext, Decoder, Item, short_uuid
from edge_twin_adapters.errors import DecodeError

DECODERS: Mapping[str, Decoder] = MappingProxyType(
    {
        heart_rate.CHARACTERISTIC: heart_rate.decode_heart_rate,
        thermometer.CHARACTERISTIC: thermometer.decode_temperature,
        thermometer.INTERMEDIATE: thermometer.decode_intermediate_temperature,
        thermometer.TEMPERATURE_TYPE: thermometer.decode_temperature_type,
        oximeter.SPOT_CHECK: oximeter.decode_spot_check,
        oximeter.CONTINUOUS: oximeter.decode_continuous,
        blood_pressure.MEASUREMENT: blood_pressure.decode_blood_pressure,
        blood_pressure.INTERMEDIATE_CUFF: blood_pressure.decode_intermediate_cuff,
        scales.WEIGHT: scales.decode_weight,
        scales.BODY_COMPOSITION: scales.decode_body_composition,
        glucose.CHARACTERISTIC: glucose.decode_glucose,
        glucose_context.CHARACTERISTIC: glucose_context.decode_glucose_context,
        cgm.CHARACTERISTIC: cgm.decode_cgm_measurement,
        cgm_session.FEATURE: cgm_session.decode_cgm_feature,
        cgm_session.STATUS_CHARACTERISTIC: cgm_session.decode_cgm_status,
        cgm_session.SESSION_START: cgm_session.decode_session_start,
        cgm_session.SESSION_RUN_TIME: cgm_session.decode_session_run_time,
        cgm_control.CHARACTERISTIC: cgm_control.decode_cgm_control,
        record_access.CHARACTERISTIC: record_access.decode_answer,
        running.CHARACTERISTIC: running.decode_running,
        battery.CHARACTERISTIC: battery.decode_battery,
        current_time.CHARACTERISTIC: current_time.decode_current_time,
        device_information.SYSTEM_ID: device_information.decode_system_id,
        device_information.BODY_SENSOR_LOCATION: device_information.decode_body_sensor_location,
        **device_information.DECODERS,
        **environment.DECODERS,
        polar.CHARACTERISTIC: polar.decode_pmd,
        polar_control.CHARACTERISTIC: polar_control.decode_control_point,
    }
)

_DEFAULT_CONTEXT = DecodeContext()


def decode(
    characteristic: str,
    payload: bytes,
    received: datetime,
    *,
    context: DecodeContext | None = None,
) -> list[Item]:
    """Decode one value of a characteristic.

    Args:
        characteristic: its UUID, 16-bit (``"2A37"``) or full, in any case.
        payload: the value as it came over the air.
        received: when it came, aware.
        context: provenance and what the payload leaves open.

    Returns:
        Observations, waveforms and device events, oldest first; empty when the value says nothing new.

    Raises:
        DecodeError: with the offset of the field that is wrong; nothing of the payload was used.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    context = context or _DEFAULT_CONTEXT
    uuid = short_uuid(characteristic)
    if (decoder := DECODERS.get(uuid)) is not None:
        return decoder(bytes(payload), received, context)
    if (described := context.vendor.get(uuid)) is not None:
        return vendor.decode_vendor(described, bytes(payload), received, context)
    raise DecodeError(f"no decoder for {characteristic}", reason="unknown_characteristic", offset=0)
