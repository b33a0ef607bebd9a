"""Where the fuzz job begins: the published vectors of the tests, each before every target that takes it whole."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_twin_adapters.ble import polar, polar_control
from edge_twin_adapters.ble.advertisement import decode_advertisement
from edge_twin_adapters.ble.decode import decode
from edge_twin_adapters.ble.frame import DecodeContext
from edge_twin_adapters.ble.polar import encode_pmd
from edge_twin_adapters.ble.polar_control import (
    Command,
    Response,
    Setting,
    Status,
    encode_response,
    encode_settings,
    factor_bits,
)
from edge_twin_adapters.ble.polar_layout import LAYOUTS
from edge_twin_adapters.ble.polar_stream import Measurement
from edge_twin_adapters.errors import DecodeError
from tests.fuzz.ble_targets import (
    CHARACTERISTICS,
    COMPANIES,
    CONTEXTS,
    PARSERS,
    RECEIVED,
    SERVICES,
    SHIPPED_MAP,
    TARGETS,
)

VECTOR_TESTS = Path(__file__).resolve().parents[1] / "unit"
LONGEST = 512
_NUMBER = {name: bytes([index]) for index, name in enumerate(TARGETS)}


def seeds() -> list[bytes]:
    """Every input to begin with, in a fixed order."""
    vectors = sorted({*published_vectors(), *encoded_frames()})
    found = [*_map_seeds(), *session_seeds(), *_control_seeds(vectors)]
    for vector in vectors:
        found += [*_decode_seeds(vector), *_advertisement_seeds(vector)]
    return found


def published_vectors() -> set[bytes]:
    """The payloads that stand in the tests of the decoders as hexadecimal text."""
    files = sorted(VECTOR_TESTS.glob("test_ble_*.py"))
    texts = {text for file in files for text in _texts(ast.parse(file.read_text(encoding="utf-8")))}
    return {payload for text in texts if 0 < len(payload := _octets(text)) <= LONGEST}


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.Constant) and (text := _joined(node)):
            yield text


def _joined(node: ast.expr) -> str:
    """A text, or the sum of texts that a test writes field by field; empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _joined(node.left), _joined(node.right)
        return left + right if left and right else ""
    return ""


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def encoded_frames() -> Iterator[bytes]:
    """A Polar frame of each layout: the tests write their headers in pieces."""
    rng = random.Random(4)  # noqa: S311 - readings, not secrets
    for (measurement, compressed, frame_type), layout in LAYOUTS.items():
        rows = [[rng.randrange(100) for _ in layout.channels] for _ in range(6)]
        yield encode_pmd(
            measurement, rows, time_ns=599_616_000_000_000_001, frame_type=frame_type, compressed=compressed
        )


def _decode_seeds(vector: bytes) -> Iterator[bytes]:
    for index, characteristic in enumerate(CHARACTERISTICS):
        if taken := [number for number, context in enumerate(CONTEXTS) if _decodes(characteristic, vector, context)]:
            yield _NUMBER["decode"] + bytes([index, taken[0]]) + vector
            yield _NUMBER["session"] + (bytes([min(len(vector), 255), index]) + vector[:255]) * 2


def _decodes(characteristic: str, vector: bytes, context: DecodeContext) -> bool:
    try:
        decode(characteristic, vector, RECEIVED, context=context)
    except DecodeError:
        return False
    return True


def _advertisement_seeds(vector: bytes) -> Iterator[bytes]:
    if len(vector) > 255:
        return
    kinds: tuple[tuple[int, Sequence[str | int]], ...] = ((1, SERVICES), (0, COMPANIES))
    for many, names in kinds:
        for index, name in enumerate(names):
            if _is_broadcast(name, vector):
                yield _NUMBER["advertisement"] + bytes([many, len(vector), index]) + vector


def _is_broadcast(name: str | int, vector: bytes) -> bool:
    services = {name: vector} if isinstance(name, str) else {}
    companies = {name: vector} if isinstance(name, int) else {}
    try:
        return bool(decode_advertisement(services, companies, RECEIVED))
    except DecodeError:
        return False


def _control_seeds(vectors: list[bytes]) -> Iterator[bytes]:
    for index, parser in enumerate(PARSERS.values()):
        for vector in vectors:
            try:
                parser(vector)
            except DecodeError:
                continue
            yield _NUMBER["control"] + bytes([index]) + vector


def session_seeds() -> Iterator[bytes]:
    """A Polar measurement from its request to its frames."""
    control, data = (CHARACTERISTICS.index(uuid) for uuid in (polar_control.CHARACTERISTIC, polar.CHARACTERISTIC))
    settings = {Setting.SAMPLE_RATE: 50, Setting.RESOLUTION: 16}
    request = polar_control.start_request(Measurement.ACC, settings)
    factor = encode_settings({Setting.FACTOR: (factor_bits(2.44e-4),)})
    answer = encode_response(Response(Command.START, Measurement.ACC, Status.SUCCESS, more=False, parameters=factor))
    rows = [[1, 2, 3]] * 4
    frames = [
        encode_pmd(Measurement.ACC, rows, time_ns=599_616_000_000_000_000 + number * 80_000_000, compressed=True)
        for number in range(3)
    ]
    parts = [(control | 0x80, request), (control, answer), *((data, frame) for frame in frames)]
    yield _NUMBER["session"] + b"".join(bytes([len(payload), name]) + payload for name, payload in parts)


def _map_seeds() -> Iterator[bytes]:
    document = SHIPPED_MAP.read_bytes()
    yield _NUMBER["vendor_map"] + bytes([0, 18]) + bytes(18) + document
    yield _NUMBER["vendor_map"] + bytes([1, 0]) + b'{"schema": "edge-twin.vendor-map/1", "characteristic": []}'
