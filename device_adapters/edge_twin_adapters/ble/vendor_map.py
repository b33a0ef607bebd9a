"""Characteristics of vendors as data: what a payload holds, read from TOML or JSON and checked strictly.

The form stands in docs/devices-vendor.md. Nothing in a map can execute: a layout is a string of struct
letters, numbers are decimals, and a value is ``raw * scale + offset``. A map cannot redefine what the
Bluetooth SIG assigned, and the unit that it states must be the unit of the code that it names.
"""

from __future__ import annotations

import json
import re
import struct
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

from edge_twin import codes
from edge_twin.codes import Code
from edge_twin_adapters.errors import VendorMapError

SCHEMA = "edge-twin.vendor-map/1"
LARGEST_FILE = 1_000_000  # bytes; a map of a hundred characteristics has a tenth of it
MOST_FIELDS = 64
LONGEST_DECIMAL = 40  # digits and exponent of a number; a scale has a handful

# A byte order, then numbers and pad bytes of fixed size; no counts, so that nothing large can be asked for.
_FORMAT = re.compile(r"[<>][bBhHiIqQefdx]+")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CALIBRATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,79}")
_SIG_TAIL = "-0000-1000-8000-00805f9b34fb"
_FLOATS = frozenset("efd")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of the payload that becomes an observation: ``raw * scale + offset`` in ``code.unit``.

    Attributes:
        name: for people and for gaps.
        code: what it measures.
        scale, offset: exact decimals.
        special: raw numbers that mean something else, with the reason as which they become a gap.
    """

    name: str
    code: Code
    scale: Decimal
    offset: Decimal
    special: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Remark:
    """A number of the payload that goes with the observations as an attribute, and may lower their quality.

    Attributes:
        name: of the attribute.
        questionable, invalid: masks of the bits that do so.
    """

    name: str
    questionable: int = 0
    invalid: int = 0


@dataclass(frozen=True, slots=True)
class VendorCharacteristic:
    """One characteristic.

    Attributes:
        uuid: lower-case 128-bit form.
        name: for people.
        layout: struct format.
        fields: one for each number, in order; None for one that says nothing.
        calibration: id of the calibration that the scales belong to; goes into every observation.
    """

    uuid: str
    name: str
    layout: str
    fields: tuple[Quantity | Remark | None, ...]
    calibration: str

    @property
    def size(self) -> int:
        """Bytes of a payload."""
        return struct.calcsize(self.layout)


VendorMap = Mapping[str, VendorCharacteristic]


def load_vendor_map(path: Path) -> VendorMap:
    """Read a map from a ``.toml`` or ``.json`` file; see :func:`read_vendor_map`.

    Raises:
        VendorMapError: ``unreadable`` or ``too_large``, or as there.
    """
    try:
        with path.open("rb") as file:
            document = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise VendorMapError(f"{path.name} cannot be read: {error}", reason="unreadable") from error
    if len(document) > LARGEST_FILE:
        raise VendorMapError(f"{path.name} is larger than {LARGEST_FILE} bytes", reason="too_large")
    return read_vendor_map(document, json_form=path.suffix == ".json")


def read_vendor_map(document: bytes, *, json_form: bool = False) -> VendorMap:
    """Read a map, for :attr:`DecodeContext.vendor`.

    Args:
        document: UTF-8 text.
        json_form: JSON instead of TOML.

    Returns:
        Characteristics by UUID.

    Raises:
        VendorMapError: ``malformed``, ``schema_unsupported``, ``unknown_key``, ``missing_key``, ``bad_uuid``,
            ``assigned_uuid``, ``duplicate_uuid``, ``bad_name``, ``bad_format``, ``wrong_field_count``,
            ``unknown_code``, ``wrong_unit``, ``bad_number``, ``bad_special`` or ``bad_mask``.
    """
    form = _parse(document, json_form=json_form)
    if form.get("schema") != SCHEMA:
        raise VendorMapError(f"not a vendor map of schema {SCHEMA}", reason="schema_unsupported")
    _keys(form, required={"schema", "characteristic"}, optional=set(), where="the map")
    found: dict[str, VendorCharacteristic] = {}
    for row in _rows(form["characteristic"], "characteristic"):
        described = _characteristic(row)
        if described.uuid in found:
            raise VendorMapError(f"{described.uuid} is described twice", reason="duplicate_uuid")
        found[described.uuid] = described
    return MappingProxyType(found)


def _parse(document: bytes, *, json_form: bool) -> dict[str, Any]:
    try:
        text = document.decode("utf-8")
        form = _parse_json(text) if json_form else tomllib.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise VendorMapError(f"neither TOML nor JSON: {error}", reason="malformed") from error
    if not isinstance(form, dict):
        raise VendorMapError("a vendor map is a table", reason="malformed")
    return form


def _parse_json(text: str) -> object:
    return json.loads(text, parse_float=Decimal, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A table; a key that comes twice is refused, as TOML does."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key comes twice")
    return table


def _rows(value: object, where: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise VendorMapError(f"{where} is no list of tables", reason="malformed")
    return value


def _keys(row: Mapping[str, Any], *, required: set[str], optional: set[str], where: str) -> None:
    if unknown := set(row) - required - optional:
        raise VendorMapError(f"unknown key {min(unknown)!r} in {where}", reason="unknown_key")
    if missing := required - set(row):
        raise VendorMapError(f"{where} has no {min(missing)!r}", reason="missing_key")


def _characteristic(row: dict[str, Any]) -> VendorCharacteristic:
    _keys(row, required={"uuid", "name", "format", "calibration", "field"}, optional=set(), where="a characteristic")
    layout = _matching(row["format"], _FORMAT, "bad_format")
    letters = layout[1:].replace("x", "")
    rows = _rows(row["field"], "field")
    if len(rows) != len(letters) or len(rows) > MOST_FIELDS:
        raise VendorMapError(f"{layout} has {len(letters)} numbers, not {len(rows)}", reason="wrong_field_count")
    return VendorCharacteristic(
        uuid=_uuid(row["uuid"]),
        name=_matching(row["name"], _NAME, "bad_name"),
        layout=layout,
        fields=tuple(_field(field, letter) for field, letter in zip(rows, letters, strict=True)),
        calibration=_matching(row["calibration"], _CALIBRATION, "bad_name"),
    )


def _matching(value: object, pattern: re.Pattern[str], reason: str) -> str:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise VendorMapError(f"{value!r} is not of the form {pattern.pattern}", reason=reason)
    return value


def _uuid(value: object) -> str:
    try:
        uuid = str(UUID(value)) if isinstance(value, str) else ""
    except ValueError:
        uuid = ""
    if not uuid:
        raise VendorMapError(f"{value!r} is no 128-bit UUID", reason="bad_uuid")
    if uuid.endswith(_SIG_TAIL):
        raise VendorMapError(f"{uuid} belongs to the Bluetooth SIG", reason="assigned_uuid")
    return uuid


def _field(row: dict[str, Any], letter: str) -> Quantity | Remark | None:
    if "code" in row:
        return _quantity(row, letter)
    if "attribute" in row:
        return _remark(row, letter)
    _keys(row, required={"unused"}, optional=set(), where="a field without code or attribute")
    if row["unused"] is not True:
        raise VendorMapError("an unused field says so", reason="malformed")
    return None


def _quantity(row: dict[str, Any], letter: str) -> Quantity:
    optional = {"scale", "offset", "special"}
    _keys(row, required={"name", "code", "unit"}, optional=optional, where="a field")
    code = codes.by_name(row["code"]) if isinstance(row["code"], str) else None
    if code is None:
        raise VendorMapError(f"unknown code {row['code']!r}", reason="unknown_code")
    if row["unit"] != code.unit:
        raise VendorMapError(f"{code.name} is in {code.unit}, not {row['unit']!r}", reason="wrong_unit")
    return Quantity(
        name=_matching(row["name"], _NAME, "bad_name"),
        code=code,
        scale=_decimal(row.get("scale", 1), zero=False),
        offset=_decimal(row.get("offset", 0), zero=True),
        special=_special(row.get("special", []), letter),
    )


def _decimal(value: object, *, zero: bool) -> Decimal:
    """An exact number; text is not accepted, since TOML and JSON have numbers."""
    number = Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else Decimal("NaN")
    short = number.is_finite() and abs(number.adjusted()) < LONGEST_DECIMAL
    if not short or len(number.as_tuple().digits) > LONGEST_DECIMAL or (number == 0 and not zero):
        raise VendorMapError(f"{value!r} is no usable number", reason="bad_number")
    return number


def _special(value: object, letter: str) -> Mapping[int, str]:
    found: dict[int, str] = {}
    for row in _rows(value, "special"):
        _keys(row, required={"raw", "meaning"}, optional=set(), where="a special value")
        raw = row["raw"]
        if letter in _FLOATS or type(raw) is not int or not _fits(raw, letter) or raw in found:
            raise VendorMapError(f"{raw!r} is no special value of {letter!r}", reason="bad_special")
        found[raw] = _matching(row["meaning"], _NAME, "bad_name")
    return MappingProxyType(found)


def _fits(raw: int, letter: str) -> bool:
    try:
        struct.pack(f"<{letter}", raw)
    except struct.error:
        return False
    return True


def _remark(row: dict[str, Any], letter: str) -> Remark:
    masks = {"questionable_mask", "invalid_mask"}
    _keys(row, required={"attribute"}, optional=masks, where="an attribute")
    questionable, invalid = (row.get(key, 0) for key in ("questionable_mask", "invalid_mask"))
    for mask in (questionable, invalid):
        if letter in _FLOATS or type(mask) is not int or not (mask == 0 or _fits(mask, letter.upper())) or mask < 0:
            raise VendorMapError(f"{mask!r} is no mask of {letter!r}", reason="bad_mask")
    return Remark(_matching(row["attribute"], _NAME, "bad_name"), questionable, invalid)
