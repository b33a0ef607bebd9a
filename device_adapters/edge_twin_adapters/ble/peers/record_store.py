"""The storage of a virtual sensor behind a Record Access Control Point (2A52)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bumble import att
from bumble.gatt import Characteristic

from edge_twin_adapters.ble import record_access
from edge_twin_adapters.ble.peers.gatt import CCCD_NOT_CONFIGURED, PROCEDURE_IN_PROGRESS, control_point
from edge_twin_adapters.ble.record_access import (
    Answer,
    Count,
    Op,
    Operator,
    Request,
    Response,
    encode_answer,
    read_request,
)
from edge_twin_adapters.errors import DecodeError

_REFUSALS = {
    "unknown_op": Answer.OP_NOT_SUPPORTED,
    "unknown_operator": Answer.INVALID_OPERATOR,
    "unknown_filter": Answer.OPERAND_NOT_SUPPORTED,
}


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record in the storage.

    Attributes:
        number: what a request compares: sequence number or session minute.
        send: sends it; whether a listening central got it.
    """

    number: int
    send: Callable[[], Awaitable[bool]]


class RecordStore:
    """Keeps records and answers requests for them.

    Args:
        ready: whether the central has subscribed to what a report needs.
        indicate: sends an answer.
        spawn: does work beside the simulation.
    """

    def __init__(
        self,
        *,
        ready: Callable[[], bool],
        indicate: Callable[[bytes], Awaitable[bool]],
        spawn: Callable[[Awaitable[None]], None],
    ) -> None:
        self._records: list[StoredRecord] = []
        self._ready = ready
        self._indicate = indicate
        self._spawn = spawn
        self._running = False
        self._aborted = False
        self._stall_after: int | None = None
        self._resume = asyncio.Event()
        self.characteristic: Characteristic[bytes] = control_point(record_access.CHARACTERISTIC, self._written)
        self.reports = 0

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: StoredRecord) -> None:
        """Keep a record."""
        self._records.append(record)

    def stall_after(self, records: int) -> None:
        """Let the next report fall silent after so many records; it goes on only in a new request."""
        self._stall_after = records

    def link_lost(self) -> None:
        """End whatever is under way."""
        self._running = False
        self._aborted = True

    async def _written(self, value: bytes) -> None:
        if not self._ready():
            raise att.ATT_Error(att.ErrorCode(CCCD_NOT_CONFIGURED))
        try:
            request = read_request(value)
        except DecodeError as error:
            code = _REFUSALS.get(error.reason, Answer.INVALID_OPERAND)
            self._spawn(self._answer(Response(value[0] if value else 0, code)))
            return
        if self._running and request.op is not Op.ABORT:
            raise att.ATT_Error(att.ErrorCode(PROCEDURE_IN_PROGRESS))
        self._spawn(self._carry_out(request))

    async def _answer(self, answer: Count | Response) -> None:
        await self._indicate(encode_answer(answer))

    async def _carry_out(self, request: Request) -> None:
        match request.op:
            case Op.ABORT:
                self._aborted, self._running = True, False
                await self._answer(Response(Op.ABORT, Answer.SUCCESS))
            case Op.COUNT:
                await self._answer(Count(len(self._matching(request))))
            case Op.DELETE:
                await self._delete(request)
            case _:
                await self._report(request)

    async def _delete(self, request: Request) -> None:
        gone = self._matching(request)
        self._records = [record for record in self._records if record not in gone]
        await self._answer(Response(Op.DELETE, Answer.SUCCESS if gone else Answer.NO_RECORDS))

    async def _report(self, request: Request) -> None:
        self._running, self._aborted = True, False
        self.reports += 1
        try:
            answer = await self._send(self._matching(request))
        finally:
            self._running = False
        if answer is not None:
            await self._answer(Response(Op.REPORT, answer))

    async def _send(self, records: Sequence[StoredRecord]) -> Answer | None:
        """Send the records: the answer, or None when there is nobody to answer, or none is given."""
        if not records:
            return Answer.NO_RECORDS
        stall, self._stall_after = self._stall_after, None
        for sent, record in enumerate(records):
            if self._aborted or sent == stall:
                return None
            await record.send()
            # Gives an abort, and the rest of the process, a turn.
            await asyncio.sleep(0)
        return None if self._aborted or stall is not None else Answer.SUCCESS

    def _matching(self, request: Request) -> list[StoredRecord]:
        bounds = [bound for bound in request.bounds if isinstance(bound, int)]
        match request.operator:
            case Operator.UP_TO:
                return [record for record in self._records if record.number <= bounds[0]]
            case Operator.FROM:
                return [record for record in self._records if record.number >= bounds[0]]
            case Operator.WITHIN:
                return [record for record in self._records if bounds[0] <= record.number <= bounds[1]]
            case Operator.FIRST:
                return self._records[:1]
            case Operator.LAST:
                return self._records[-1:]
            case _:
                return list(self._records)
