"""The dead man: says that nobody looks when the runtime has stopped.

The runtime leaves a :class:`Heartbeat` with every completed step. Whoever is still alive (a watcher process, the
runtime itself after a restart) asks :func:`check`, which is pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.alarm_rules import AlarmRules
from edge_twin.observation import Origin
from edge_twin.wording import Message, say


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What the runtime leaves behind.

    Attributes:
        step: time of the last completed step, aware UTC.
        expected: the next step comes by then while the runtime lives.
    """

    step: datetime
    expected: datetime


def check(heartbeat: Heartbeat | None, now: datetime, zone: ZoneInfo, rules: AlarmRules) -> Flag | None:
    """A flag when the runtime has not looked in time; None while nothing is overdue.

    Args:
        heartbeat: the newest one; None when the runtime never completed a step.
        now: aware UTC.
        zone: the patient's.
        rules: with the table ``dead_man``.
    """
    if heartbeat is None:
        return _flag(now, (say("deadman.never"),), (say("deadman.clinician_never"),), rules)
    last = say("deadman.clinician", last=heartbeat.step.astimezone(zone))
    if heartbeat.step - now > rules.span("dead_man", "clock_lead_minutes"):
        return _flag(now, (say("deadman.clock", last=heartbeat.step.astimezone(zone)),), (last,), rules)
    if now - heartbeat.expected <= rules.span("dead_man", "grace_minutes"):
        return None
    expected = heartbeat.expected.astimezone(zone)
    reason = say("deadman.stopped", last=heartbeat.step.astimezone(zone), expected=expected)
    return _flag(heartbeat.expected, (reason,), (last,), rules)


def _flag(time: datetime, reason: tuple[Message, ...], clinician: tuple[Message, ...], rules: AlarmRules) -> Flag:
    return Flag(
        kind=FlagKind.RUNTIME_STOPPED,
        time=time,
        urgency=Urgency.TODAY,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say("deadman.action"),),
            reason=reason,
            clinician=clinician,
            would_change=(say("deadman.would_change"),),
            limits=(say("deadman.limits"),),
        ),
        bound=rules.bound("dead_man", "grace_minutes"),
    )
