"""Fetching stored records through Record Access Control Point (2A52), in pieces that can be resumed.

A piece is done when the device says success *and* as many records came undamaged as it had counted.
Only then may the cursor move, to the number after the highest record of the piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from bleak.exc import BleakError, BleakGATTProtocolError

from edge_twin_adapters.ble import record_access
from edge_twin_adapters.ble.frame import short_uuid
from edge_twin_adapters.ble.identity import record_number, records_in
from edge_twin_adapters.ble.profiles import Stored
from edge_twin_adapters.ble.record_access import Answer, Bound, Count, Op, Operator, Request, Response
from edge_twin_adapters.errors import AdapterError, DecodeError

# Records of one request: a lost link costs at most so many of them again [C].
PIECE = 64
_LAST_NUMBER = 0xFFFF
_NOT_OFFERED = frozenset(
    (
        Answer.OP_NOT_SUPPORTED,
        Answer.INVALID_OPERATOR,
        Answer.OPERATOR_NOT_SUPPORTED,
        Answer.INVALID_OPERAND,
        Answer.OPERAND_NOT_SUPPORTED,
    )
)


class BackfillError(AdapterError):
    """A request for stored records that was not answered in full; the cursor stays.

    ``reason``: ``backfill_stalled``, ``backfill_damaged`` (a record could not be read), ``backfill_incomplete``
    (fewer came than were counted), ``backfill_refused`` (an ATT error), ``backfill_overflow``, or
    ``backfill_`` and the device's own word.
    """


class Backfill:
    """One device's stored records.

    Attributes:
        running: whether records are being fetched.
        lenient: take what can be had of a piece that the device calls complete, and say what is missing; a
            record that is damaged for good would hold up all others else.

    Args:
        stored: what the device keeps.
        write: writes a request to the control point.
        check: raises ``DecodeError`` for a record that cannot be read.
        stall_s: a request on which nothing came for so long has stalled.
        piece: records of one request.
    """

    def __init__(
        self,
        stored: Stored,
        write: Callable[[bytes], Awaitable[None]],
        check: Callable[[bytes], None],
        *,
        stall_s: float,
        piece: int = PIECE,
    ) -> None:
        self._stored = stored
        self._write = write
        self._check = check
        self._stall_s = stall_s
        self._piece = piece
        self._answers: asyncio.Queue[Count | Response] = asyncio.Queue()
        self._alive = asyncio.Event()
        self._numbers: set[int] = set()
        self._received = 0
        self._damaged = 0
        self._lost = 0
        self._owed: int | None = None
        self.running = False
        self.lenient = False

    def feed(self, characteristic: str, payload: bytes) -> None:
        """Take a value that came; must not wait and does not raise."""
        uuid = short_uuid(characteristic)
        if uuid == record_access.CHARACTERISTIC:
            with suppress(DecodeError):
                self._answers.put_nowait(record_access.read_answer(payload))
            self._alive.set()
        elif uuid == self._stored.measurement and self.running:
            self._note(uuid, payload)
            # A live value comes on the same way: what exceeds the count is no sign that the report goes on.
            if self._owed is None or self._received <= self._owed:
                self._alive.set()

    def _note(self, uuid: str, payload: bytes) -> None:
        try:
            self._check(payload)
        except DecodeError:
            self._damaged += 1
            return
        records = records_in(uuid, payload)
        self._received += len(records)
        self._numbers |= {number for record in records if (number := record_number(uuid, record)) is not None}

    async def run(self, position: int, done: Callable[[int, int], None]) -> None:
        """Fetch everything from ``position`` on.

        Args:
            position: the first number that is not safe yet; ignored for records without numbers.
            done: told after each piece which number comes next, and how many records of it are lost
                (with :attr:`lenient`).

        Raises:
            BackfillError: a piece was not answered in full; ``done`` was told of those before it.
            BleakError: the link failed.
        """
        self.running = True
        try:
            if self._stored.numbered:
                await self._fetch_numbered(position, done)
            else:
                await self._fetch(Operator.ALL)
                done(0, self._lost)
        finally:
            self.running = False

    async def _fetch_numbered(self, position: int, done: Callable[[int, int], None]) -> None:
        left = await self._count(Operator.FROM, min(position, _LAST_NUMBER))
        if left == 0 or position > _LAST_NUMBER:
            if not await self._is_renumbered(position):
                return
            position, left = 0, await self._count(Operator.FROM, 0)
        if left is not None and left > self._piece:
            position = await self._fetch_pieces(position or await self._first(), left, done)
        await self._fetch(Operator.FROM, min(position, _LAST_NUMBER), owed=left)
        self._advance(done)

    async def _fetch_pieces(self, start: int, left: int, done: Callable[[int, int], None]) -> int:
        """Fetch ranges of numbers until one request is enough for the rest: where the rest begins."""
        while left > self._piece and start + self._piece <= _LAST_NUMBER:
            if not await self._fetch(Operator.WITHIN, start, start + self._piece - 1, owed=self._piece):
                break
            left -= self._received + self._lost
            self._advance(done)
            start += self._piece
        return start

    def _advance(self, done: Callable[[int, int], None]) -> None:
        if self._numbers:
            done(max(self._numbers) + 1, self._lost)

    async def _is_renumbered(self, position: int) -> bool:
        """Whether the newest record is older than the cursor: the device began to count anew."""
        if not position:
            return False
        await self._fetch(Operator.LAST)
        return bool(self._numbers) and max(self._numbers) < position - 1

    async def _first(self) -> int:
        await self._fetch(Operator.FIRST)
        return min(self._numbers, default=0)

    async def _count(self, operator: Operator, *bounds: Bound) -> int | None:
        """How many records a request would bring; None from a device that does not count."""
        answer = await self._ask(Request(Op.COUNT, operator, bounds), owed=0)
        if isinstance(answer, Count):
            return answer.records
        if answer.code in _NOT_OFFERED:
            return None
        if answer.code == Answer.NO_RECORDS:
            return 0
        raise BackfillError(f"counting ended with {answer.name}", reason=f"backfill_{answer.name}")

    async def _fetch(self, operator: Operator, *bounds: Bound, owed: int | None = None) -> bool:
        """Ask for records, ``owed`` of them as far as known; False when the device does not offer this request."""
        self._numbers, self._received, self._damaged, self._lost = set(), 0, 0, 0
        answer = await self._ask(Request(Op.REPORT, operator, bounds), owed)
        code = answer.code if isinstance(answer, Response) else None
        if code in _NOT_OFFERED and operator in {Operator.WITHIN, Operator.FIRST, Operator.LAST}:
            return False
        if not isinstance(answer, Response) or code not in {Answer.SUCCESS, Answer.NO_RECORDS}:
            word = answer.name if isinstance(answer, Response) else "unexpected_answer"
            raise BackfillError(f"the request ended with {word}", reason=f"backfill_{word}")
        if operator not in {Operator.FIRST, Operator.LAST}:
            await self._compare_with_count(operator, *bounds)
        return True

    async def _compare_with_count(self, operator: Operator, *bounds: Bound) -> None:
        """Make sure that all came; the count is asked for afterwards, so that live records do not hide a loss."""
        expected = await self._count(operator, *bounds)
        came = len(self._numbers) if self._stored.numbered else self._received
        self._lost = max(self._damaged, 0 if expected is None else expected - came)
        if self._damaged and not self.lenient:
            raise BackfillError(f"{self._damaged} records could not be read", reason="backfill_damaged")
        if self._lost and not self.lenient:
            raise BackfillError(f"{came} of {expected} records came", reason="backfill_incomplete")

    async def _ask(self, request: Request, owed: int | None) -> Count | Response:
        self._owed = owed
        while not self._answers.empty():
            self._answers.get_nowait()
        try:
            await self._write(record_access.encode_request(request))
            return await self._answer()
        except BleakGATTProtocolError as error:
            # A procedure of before may be under way still (80 or FE).
            await self._abort()
            raise BackfillError(f"the request was refused: {error}", reason="backfill_refused") from error
        except TimeoutError as error:
            await self._abort()
            raise BackfillError("nothing came any more", reason="backfill_stalled") from error

    async def _answer(self) -> Count | Response:
        while True:
            if not self._answers.empty():
                return self._answers.get_nowait()
            self._alive.clear()
            async with asyncio.timeout(self._stall_s):
                await self._alive.wait()

    async def _abort(self) -> None:
        """Ask the device to give up, so that it takes the next request; it may not answer this either."""
        self._owed = 0
        with suppress(BleakError, TimeoutError):
            await self._write(record_access.encode_request(Request(Op.ABORT, Operator.NONE)))
            await self._answer()
