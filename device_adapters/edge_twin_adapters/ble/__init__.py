"""Bluetooth LE: decoders, the source that real and virtual devices share, and virtual devices."""

from __future__ import annotations
