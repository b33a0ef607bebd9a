"""Whether a sensor is worn, from what it says itself: yes, no, or not known."""

from __future__ import annotations

from enum import StrEnum

from edge_twin.observation import Observation
from edge_twin_adapters.ble.frame import Item


class Wear(StrEnum):
    """Whether a sensor is on the body."""

    WORN = "worn"
    NOT_WORN = "not_worn"
    UNKNOWN = "unknown"


# Bits of PLXS 1.0.1 table 3.5 that say that there is no finger in the clip.
_NOT_ON_THE_BODY = frozenset(("not_connected_to_user", "sensor_displaced", "sensor_disconnected"))


def wear_of(item: Item) -> Wear:
    """What one item says of being worn.

    ``contact`` of a heart rate or a pulse counts, except that an optical Polar sensor (its pulses carry
    ``blocker``) is known to claim contact in the air: its "yes" says nothing. For an oximeter the status
    of the sensor counts.
    """
    if not isinstance(item, Observation):
        return Wear.UNKNOWN
    attributes = item.attributes
    if (contact := attributes.get("contact")) is not None:
        if contact == "no":
            return Wear.NOT_WORN
        return Wear.UNKNOWN if "blocker" in attributes else Wear.WORN
    if (status := attributes.get("sensor_status")) is not None:
        return Wear.NOT_WORN if _NOT_ON_THE_BODY & set(status.split(",")) else Wear.WORN
    return Wear.UNKNOWN


class WearTracker:
    """The wear state over time."""

    def __init__(self) -> None:
        self.state = Wear.UNKNOWN

    def forget(self) -> None:
        """The link is gone: nothing is known any more."""
        self.state = Wear.UNKNOWN

    def note(self, item: Item) -> str | None:
        """Take in an item; the detail of the event to tell, or None.

        Coming into ``NOT_WORN`` and out of it is told; that a sensor is worn when it first speaks is not.
        """
        said = wear_of(item)
        if said is Wear.UNKNOWN or said is self.state:
            return None
        before, self.state = self.state, said
        told = Wear.NOT_WORN in {before, said}
        return f"wear state={said.value} before={before.value}" if told else None
