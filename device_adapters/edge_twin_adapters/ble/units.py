"""Conversions to the unit of a code, in decimal arithmetic that the application cannot change.

A conversion is exact where its factor has finitely many decimal digits; else it is rounded once, at 34
digits, far below what a float can hold. The only rounding that shows is that of :func:`as_float`.
"""

from __future__ import annotations

from decimal import Context, Decimal

# An own context: the application's must not change what a reading means.
_ARITHMETIC = Context(prec=34, traps=[])

# International pound and inch (1959), exact by definition.
_KILOGRAMS_PER_POUND = Decimal("0.45359237")
_METRES_PER_INCH = Decimal("0.0254")
# UCUM: one metre of mercury column is 133.322387415 kPa, exact by definition.
_MMHG_PER_KILOPASCAL = _ARITHMETIC.divide(Decimal(1), Decimal("0.133322387415"))


def as_float(number: Decimal) -> float:
    """The float nearest to ``number``; its shortest text shows the same digits up to 15 of them."""
    return float(number)


def times(count: int | Decimal, resolution: str) -> Decimal:
    """``count`` steps of ``resolution``, for instance ``times(14000, "0.005")`` kilograms; exact."""
    return _ARITHMETIC.multiply(Decimal(count), Decimal(resolution))


def steps_of(value: Decimal, resolution: str) -> Decimal:
    """How many steps of ``resolution`` make ``value``; the inverse of :func:`times`."""
    return _ARITHMETIC.divide(value, Decimal(resolution))


def fahrenheit_to_celsius(fahrenheit: Decimal) -> Decimal:
    """Convert in decimal arithmetic: 100.4 °F is exactly 38.0 °C."""
    difference = _ARITHMETIC.subtract(fahrenheit, Decimal(32))
    return _ARITHMETIC.divide(_ARITHMETIC.multiply(difference, Decimal(5)), Decimal(9))


def pounds_to_kilograms(pounds: Decimal) -> Decimal:
    """1 lb is exactly 0.45359237 kg."""
    return _ARITHMETIC.multiply(pounds, _KILOGRAMS_PER_POUND)


def inches_to_metres(inches: Decimal) -> Decimal:
    """1 in is exactly 0.0254 m."""
    return _ARITHMETIC.multiply(inches, _METRES_PER_INCH)


def kilopascals_to_mmhg(kilopascals: Decimal) -> Decimal:
    """1 mm[Hg] is exactly 0.133322387415 kPa; the reciprocal is rounded at 34 digits."""
    return _ARITHMETIC.multiply(kilopascals, _MMHG_PER_KILOPASCAL)
