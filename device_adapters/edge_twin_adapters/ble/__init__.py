"""Bluetooth LE: decoders, the source that real and virtual devices share, and virtual devices.

:func:`decode` turns the value of any characteristic that is understood into observations and events.
"""

from __future__ import annotations

# The function decode takes the place of the module of the same name on this package.
from edge_twin_adapters.ble.advertisement import decode_advertisement
from edge_twin_adapters.ble.decode import decode
from edge_twin_adapters.ble.frame import DecodeContext
from edge_twin_adapters.errors import DecodeError

__all__ = ["DecodeContext", "DecodeError", "decode", "decode_advertisement"]
