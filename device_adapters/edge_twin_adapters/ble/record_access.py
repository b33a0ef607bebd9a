"""Record Access Control Point (2A52): requests encoded, answers decoded.

The same characteristic serves glucose (records by sequence number), CGM (by minutes since the session
began) and oximeter (all records); GATT Specification Supplement, Record Access Control Point.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from edge_twin_adapters.ble.date_time import DateTimeField, encode_date_time
from edge_twin_adapters.ble.fields import write_unsigned
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.record import simple_record
from edge_twin_adapters.errors import AdapterError, DecodeError

CHARACTERISTIC = "2a52"


class Op(IntEnum):
    """Op codes."""

    REPORT = 1
    DELETE = 2
    ABORT = 3
    COUNT = 4
    COUNT_ANSWER = 5
    ANSWER = 6


class Operator(IntEnum):
    """Which records."""

    NONE = 0
    ALL = 1
    UP_TO = 2
    FROM = 3
    WITHIN = 4
    FIRST = 5
    LAST = 6


class Answer(IntEnum):
    """Response codes."""

    SUCCESS = 1
    OP_NOT_SUPPORTED = 2
    INVALID_OPERATOR = 3
    OPERATOR_NOT_SUPPORTED = 4
    INVALID_OPERAND = 5
    NO_RECORDS = 6
    ABORT_FAILED = 7
    NOT_COMPLETED = 8
    OPERAND_NOT_SUPPORTED = 9


class Filter(IntEnum):
    """What the operand counts: a sequence number (glucose), minutes of the session (CGM), or a time."""

    NUMBER = 1
    USER_FACING_TIME = 2


_BOUNDS = {Operator.UP_TO: 1, Operator.FROM: 1, Operator.WITHIN: 2}
Bound = int | DateTimeField


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Attributes:
        op: ``REPORT``, ``DELETE``, ``ABORT`` or ``COUNT``.
        operator: which records; ``NONE`` for an abort.
        bounds: one for ``UP_TO`` and ``FROM``, two for ``WITHIN``: sequence numbers or session minutes
            (:attr:`Filter.NUMBER`), or device times (:attr:`Filter.USER_FACING_TIME`, glucose only).
    """

    op: Op
    operator: Operator = Operator.ALL
    bounds: tuple[Bound, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """How many records a request would report."""

    records: int


@dataclass(frozen=True, slots=True)
class Response:
    """How a request ended.

    Attributes:
        request: op code of the request.
        code: response code; :class:`Answer` where it is known.
    """

    request: int
    code: int

    @property
    def succeeded(self) -> bool:
        """Whether all records asked for were sent; only then may a cursor advance."""
        return self.code == Answer.SUCCESS

    @property
    def name(self) -> str:
        """The response code in words."""
        return Answer(self.code).name.lower() if self.code in set(Answer) else f"reserved_{self.code}"


def report_from(bound: Bound) -> bytes:
    """The request for all records from ``bound`` on, the resume of a back-fill.

    Raises:
        AdapterError: ``out_of_range`` or ``invalid_time``.
    """
    return encode_request(Request(Op.REPORT, Operator.FROM, (bound,)))


def encode_request(request: Request) -> bytes:
    """The payload of a request.

    Raises:
        AdapterError: ``bad_request`` when operator and bounds do not fit, ``out_of_range``, or
            ``invalid_time``.
    """
    kinds = {type(bound) for bound in request.bounds}
    if len(request.bounds) != _BOUNDS.get(request.operator, 0) or len(kinds) > 1:
        raise AdapterError(f"{request.operator.name} with bounds {request.bounds}", reason="bad_request")
    head = bytes([request.op, request.operator])
    if not request.bounds:
        return head
    kind = Filter.USER_FACING_TIME if DateTimeField in kinds else Filter.NUMBER
    return head + bytes([kind]) + b"".join(_write_bound(bound) for bound in request.bounds)


def _write_bound(bound: Bound) -> bytes:
    return encode_date_time(bound) if isinstance(bound, DateTimeField) else write_unsigned(bound, 2, "bound")


def read_request(payload: bytes) -> Request:
    """A request, as a virtual device receives it.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long``, ``unknown_op``, ``unknown_operator``
            or ``unknown_filter``.
    """
    reader = Reader(payload)
    op, operator = reader.u8("op code"), reader.u8("operator")
    if op not in {Op.REPORT, Op.DELETE, Op.ABORT, Op.COUNT}:
        raise DecodeError(f"op code {op} is no request", reason="unknown_op", offset=0)
    if operator not in set(Operator):
        raise DecodeError(f"operator {operator} is not known", reason="unknown_operator", offset=1)
    count = _BOUNDS.get(Operator(operator), 0)
    if count and reader.u8("filter type") != Filter.NUMBER:
        raise DecodeError("only numbers are understood as filter", reason="unknown_filter", offset=2)
    bounds = tuple(reader.u16("bound") for _ in range(count))
    reader.finish()
    return Request(Op(op), Operator(operator), bounds)


def read_answer(payload: bytes) -> Count | Response:
    """What a device answers.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long``, ``unknown_op`` for what is no
            answer, or ``unknown_operator`` when its operator is not null.
    """
    reader = Reader(payload)
    op, operator = reader.u8("op code"), reader.u8("operator")
    if op not in {Op.COUNT_ANSWER, Op.ANSWER}:
        raise DecodeError(f"op code {op} is no answer", reason="unknown_op", offset=0)
    if operator != Operator.NONE:
        raise DecodeError(f"an answer with operator {operator}", reason="unknown_operator", offset=1)
    answer: Count | Response
    if op == Op.COUNT_ANSWER:
        answer = Count(reader.u16("number of records"))
    else:
        answer = Response(reader.u8("request"), reader.u8("response code"))
    reader.finish()
    return answer


def decode_answer(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One ``CONTROL`` event: ``record_access records=30`` or ``record_access request=1 result=success``.

    Raises:
        DecodeError: as :func:`read_answer`.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    answer = read_answer(payload)
    record = simple_record(received, context)
    if isinstance(answer, Count):
        record.control(f"record_access records={answer.records}")
    else:
        record.control(f"record_access request={answer.request} result={answer.name}")
    return record.items


def encode_answer(answer: Count | Response) -> bytes:
    """The payload with which a virtual device answers.

    Raises:
        AdapterError: ``out_of_range``.
    """
    if isinstance(answer, Count):
        return bytes([Op.COUNT_ANSWER, Operator.NONE]) + write_unsigned(answer.records, 2, "number of records")
    tail = write_unsigned(answer.request, 1, "request") + write_unsigned(answer.code, 1, "response code")
    return bytes([Op.ANSWER, Operator.NONE]) + tail
