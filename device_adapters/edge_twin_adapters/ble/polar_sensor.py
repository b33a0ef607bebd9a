"""The sensor's side of the Polar control point, without a radio: what a virtual peer answers.

It offers settings, starts and stops streams, and refuses what it does not offer with the status that the
SDK names for it. Which status a real sensor chooses in a corner case was not observed [U].
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edge_twin_adapters.ble.polar_control import (
    Command,
    Response,
    Setting,
    Settings,
    Status,
    encode_features,
    encode_response,
    encode_settings,
    factor_bits,
    read_settings,
)
from edge_twin_adapters.ble.polar_stream import Measurement
from edge_twin_adapters.errors import DecodeError

_TYPE_MASK = 0x3F
_REQUEST_HEAD_BYTES = 2

_REFUSALS: Mapping[Setting, Status] = MappingProxyType(
    {
        Setting.SAMPLE_RATE: Status.INVALID_SAMPLE_RATE,
        Setting.RESOLUTION: Status.INVALID_RESOLUTION,
        Setting.RANGE: Status.INVALID_RANGE,
        Setting.RANGE_MILLI: Status.INVALID_RANGE,
        Setting.CHANNELS: Status.INVALID_NUMBER_OF_CHANNELS,
    }
)


class PolarSensor:
    """A sensor that can be asked and told.

    Args:
        offers: the settings of each measurement that it has.
        factors: FACTOR of each measurement whose start response carries one.
    """

    def __init__(
        self, offers: Mapping[Measurement, Settings], factors: Mapping[Measurement, float] | None = None
    ) -> None:
        self._offers = dict(offers)
        self._factors = dict(factors or {})
        self._running: dict[Measurement, Mapping[Setting, int]] = {}

    @property
    def running(self) -> Mapping[Measurement, Mapping[Setting, int]]:
        """The streams that run, with the settings that were chosen."""
        return MappingProxyType(self._running)

    @property
    def features(self) -> bytes:
        """What a read of the control point gives."""
        return encode_features(frozenset(self._offers))

    def answer(self, request: bytes) -> bytes:
        """Carry out a written request: the indication that follows."""
        code, kind = (*request[:_REQUEST_HEAD_BYTES], 0, 0)[:_REQUEST_HEAD_BYTES]
        command = next((known for known in Command if known == code), None)
        measurement = next((known for known in self._offers if known == kind & _TYPE_MASK), None)
        if command is None:
            return encode_response(_refused(Command.GET_SETTINGS, measurement, Status.INVALID_OP_CODE))
        if len(request) < _REQUEST_HEAD_BYTES:
            return encode_response(_refused(command, measurement, Status.INVALID_LENGTH))
        if measurement is None:
            return encode_response(_refused(command, None, Status.INVALID_MEASUREMENT_TYPE))
        return encode_response(self._carry_out(command, measurement, request[_REQUEST_HEAD_BYTES:]))

    def power_off(self) -> None:
        """Forget the streams, as a sensor does that is switched off or loses its strap."""
        self._running.clear()

    def _carry_out(self, command: Command, measurement: Measurement, parameters: bytes) -> Response:
        match command:
            case Command.GET_SETTINGS:
                return _done(command, measurement, encode_settings(self._offers[measurement]))
            case Command.START:
                return self._start(measurement, parameters)
            case Command.STOP if self._running.pop(measurement, None) is not None:
                return _done(command, measurement)
            case Command.STOP:
                return _refused(command, measurement, Status.ALREADY_IN_STATE)
            case _:
                return _refused(command, measurement, Status.NOT_SUPPORTED)

    def _start(self, measurement: Measurement, parameters: bytes) -> Response:
        if measurement in self._running:
            return _refused(Command.START, measurement, Status.ALREADY_IN_STATE)
        try:
            wanted = read_settings(parameters)
        except DecodeError:
            return _refused(Command.START, measurement, Status.INVALID_LENGTH)
        for setting, values in wanted.items():
            if len(values) != 1 or values[0] not in self._offers[measurement].get(setting, ()):
                status = _REFUSALS.get(setting, Status.INVALID_PARAMETER)
                return _refused(Command.START, measurement, status)
        self._running[measurement] = {setting: values[0] for setting, values in wanted.items()}
        factor = self._factors.get(measurement)
        told = b"" if factor is None else encode_settings({Setting.FACTOR: (factor_bits(factor),)})
        return _done(Command.START, measurement, told)


def _done(command: Command, measurement: Measurement, parameters: bytes = b"") -> Response:
    return Response(command, measurement, Status.SUCCESS, more=False, parameters=parameters)


def _refused(command: Command, measurement: Measurement | None, status: Status) -> Response:
    return Response(command, measurement, status, more=False, parameters=b"")
