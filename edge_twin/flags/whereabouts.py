"""Who knows of a flag, in words that never blur "on this phone", "delivered" and "seen"."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from edge_twin.flags.alarm_rules import Level
from edge_twin.flags.life import Life
from edge_twin.wording import Message, say


def whereabouts(life: Life, zone: ZoneInfo) -> Message:
    """Who has this flag, and whether what they have is its present state.

    Args:
        life: of the flag.
        zone: the patient's.
    """
    if life.seen is not None and life.seen_version >= max(life.delivered_version, 1):
        word = "seen" if life.seen_version >= life.version else "older_seen"
        return say(f"alarms.{word}", name=life.seen_by, time=life.seen.astimezone(zone))
    if life.delivered is not None:
        word = "delivered" if life.delivered_version >= life.version else "older_delivered"
        return say(f"alarms.{word}", time=life.delivered.astimezone(zone))
    return say("alarms.only_here")


def escalation(life: Life, zone: ZoneInfo) -> Message | None:
    """What follows from nobody having answered; None while the patient alone is asked."""
    if life.level is Level.PATIENT or life.alerted is None or life.is_answered:
        return None
    since: datetime = life.alerted.astimezone(zone)
    return say(f"alarms.{life.level}", time=since)
