"""The life of a flag as data: what happened to it (events) and where it stands (its life), one folded from the other.

Nothing here decides anything; :mod:`edge_twin.flags.lifecycle` does. Because a life is the fold of its events, the
past can be reconstructed from the events alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from edge_twin.flag import FlagKind, Urgency
from edge_twin.flags.alarm_rules import Level

Form = Mapping[str, Any]
"""A flag as JSON values (``edge_twin.jsonform.flag_form``)."""


class LifeState(StrEnum):
    """Where a flag stands."""

    RAISED = "raised"  # up, and nobody has answered
    ACKNOWLEDGED = "acknowledged"  # up, and somebody has taken note
    SNOOZED = "snoozed"  # up, and silent until a stated time
    RESOLVED = "resolved"  # no longer holds, or closed by a named person
    SUPERSEDED = "superseded"  # a stronger flag says what it said

    @property
    def is_open(self) -> bool:
        """Whether the flag is up."""
        return self not in {LifeState.RESOLVED, LifeState.SUPERSEDED}


class Act(StrEnum):
    """What can happen to a flag."""

    RAISED = "raised"
    UPDATED = "updated"
    REOPENED = "reopened"
    NOTIFIED = "notified"
    SUPPRESSED = "suppressed"  # an alert that was not made; the flag stays up
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    WOKEN = "woken"  # the snooze ended
    LAPSED = "lapsed"  # the acknowledgement is too old for what still calls now
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    SUPERSEDED = "superseded"
    DELIVERED = "delivered"
    SEEN = "seen"


class Due(StrEnum):
    """What the patient still has to be told."""

    NOTHING = ""
    ALERT = "alert"
    REMINDER = "reminder"  # of an alert that was made before; it takes nothing from the budget


class Alert(StrEnum):
    """Classes in which alerts are counted."""

    URGENT = "urgent"  # call now: never suppressed
    RULE = "rule"  # every other flag that the budget does not bind
    BUDGETED = "budgeted"
    REMINDER = "reminder"


class Silence(StrEnum):
    """Why an alert was not made."""

    NONE = ""
    REFRACTORY = "refractory"  # this key was told a short while ago
    OVER_BUDGET = "over_budget"  # kept as a note
    SILENT = "silent"  # not trusted yet: shown to nobody (edge_twin/trust.py)
    ADVISORY = "advisory"  # trusted as far as clinicians see it


@dataclass(frozen=True)
class Event:
    """One thing that happened to one flag.

    Attributes:
        flag: number of the flag on this device.
        key: kind and topic of the flag.
        act: what happened.
        at: when, aware UTC.
        by: the person who acted; empty for the runtime.
        detail: class of an alert, reason of a silence, level, key of the stronger flag, or version that was seen.
        until: end of a snooze.
        form: what the flag says from now on, where that changed.
    """

    flag: int
    key: str
    act: Act
    at: datetime
    by: str = ""
    detail: str = ""
    until: datetime | None = None
    form: Form | None = None


@dataclass(frozen=True)
class Life:
    """Where one flag stands.

    Attributes:
        id: its number on this device.
        key: kind and topic; at most one life of a key is up.
        raised: when it went up first.
        form: what it says.
        state: see :class:`LifeState`.
        version: rises with everything that the clinic should know.
        changed: when ``form`` changed last.
        held, peak_held: when the flag held last, and when with at least its present urgency; not part of the history.
        due, silenced: what is still to be told, and why it was not.
        alerted: last alert of this life.
        last_alert, last_alert_urgency: of its key, earlier lives included.
        acknowledged, acknowledged_by: last acknowledgement.
        snoozed_until, snoozes: end of the running snooze, and how many there were.
        level: who was asked to react to the last alert.
        closed, closed_by: when it came down, and who closed it; empty when it no longer held.
        superseded_by: key of the stronger flag, if one took its place.
        delivered, delivered_version: when the clinic's system had confirmed which version.
        seen, seen_by, seen_version: who looked at which version.
    """

    id: int
    key: str
    raised: datetime
    form: Form
    changed: datetime
    held: datetime
    peak_held: datetime
    state: LifeState = LifeState.RAISED
    version: int = 1
    due: Due = Due.NOTHING
    silenced: Silence = Silence.NONE
    alerted: datetime | None = None
    last_alert: datetime | None = None
    last_alert_urgency: Urgency | None = None
    acknowledged: datetime | None = None
    acknowledged_by: str = ""
    snoozed_until: datetime | None = None
    snoozes: int = 0
    level: Level = Level.PATIENT
    closed: datetime | None = None
    closed_by: str = ""
    superseded_by: str = ""
    delivered: datetime | None = None
    delivered_version: int = 0
    seen: datetime | None = None
    seen_by: str = ""
    seen_version: int = 0

    @property
    def kind(self) -> FlagKind:
        """What was found."""
        return FlagKind(self.form["kind"])

    @property
    def urgency(self) -> Urgency:
        """As the flag itself says."""
        return Urgency(self.form["urgency"])

    @property
    def shown_urgency(self) -> Urgency:
        """As it is shown: a note when the alarm budget is spent."""
        return Urgency.NOTE if self.silenced is Silence.OVER_BUDGET else self.urgency

    @property
    def is_open(self) -> bool:
        """Whether it is up."""
        return self.state.is_open

    @property
    def is_answered(self) -> bool:
        """Whether somebody acknowledged it after its last alert."""
        return self.acknowledged is not None and self.alerted is not None and self.acknowledged >= self.alerted


@dataclass(frozen=True)
class Lives:
    """The newest life of every key, and what the budget counts.

    Attributes:
        by_key: the newest life of each key; it alone can be up.
        counted: times of alerts of budgeted kinds.
        next_id: number of the next flag.
    """

    by_key: Mapping[str, Life] = field(default_factory=dict)
    counted: tuple[datetime, ...] = ()
    next_id: int = 1

    def after(self, event: Event) -> Lives:
        """Where all flags stand after one event."""
        life = fold(self.by_key.get(event.key), event)
        counts = event.act is Act.NOTIFIED and event.detail == Alert.BUDGETED
        counted = (*self.counted, event.at) if counts else self.counted
        return Lives({**self.by_key, event.key: life}, counted, max(self.next_id, event.flag + 1))

    def with_life(self, life: Life) -> Lives:
        """The same with one life replaced."""
        return replace(self, by_key={**self.by_key, life.key: life})

    @property
    def up(self) -> tuple[Life, ...]:
        """Lives that are up, most urgent first, then oldest first."""
        lives = (life for life in self.by_key.values() if life.is_open)
        return tuple(sorted(lives, key=lambda life: (life.urgency.rank, life.raised, life.id)))


class Step(NamedTuple):
    """Where the flags stand after a step, and what happened in it."""

    lives: Lives
    events: tuple[Event, ...]


def rebuilt(events: Iterable[Event]) -> Lives:
    """Where all flags stand after ``events``, oldest first; ``held`` and ``peak_held`` are not known from them."""
    lives = Lives()
    for event in events:
        lives = lives.after(event)
    return lives


# What the clinic's copy of a flag does not need: how loud this device was, and that the copy arrived.
_SILENT = frozenset((Act.NOTIFIED, Act.SUPPRESSED, Act.DELIVERED, Act.SEEN))


def fold(life: Life | None, event: Event) -> Life:
    """A life after one event.

    Args:
        life: the newest life of the key so far.
        event: what happened; ``RAISED`` begins a new life.

    Raises:
        KeyError: an event other than ``RAISED`` without a life.
    """
    if event.act is Act.RAISED:
        return _raised(life, event)
    if life is None:
        raise KeyError(event.key)
    told = 0 if event.act in _SILENT else 1
    return replace(life, version=life.version + told, **_CHANGES[event.act](life, event))


def _raised(before: Life | None, event: Event) -> Life:
    form = event.form or {}
    last = (before.last_alert, before.last_alert_urgency) if before else (None, None)
    return Life(
        event.flag, event.key, event.at, form, event.at, event.at, event.at,
        due=_due(Urgency(form["urgency"])), last_alert=last[0], last_alert_urgency=last[1],
    )  # fmt: skip


def _due(urgency: Urgency) -> Due:
    return Due.NOTHING if urgency is Urgency.NOTE else Due.ALERT


def _updated(life: Life, event: Event) -> dict[str, Any]:
    form = event.form or {}
    urgency = Urgency(form["urgency"])
    says = {"form": form, "changed": event.at, "held": event.at, "peak_held": event.at}
    return {**says, **_anew(urgency)} if urgency.rank < life.urgency.rank else says


def _anew(urgency: Urgency) -> dict[str, Any]:
    """Nobody has answered what came again or became more urgent."""
    return {
        "state": LifeState.RAISED,
        "due": _due(urgency),
        "silenced": Silence.NONE,
        "snoozed_until": None,
        "level": Level.PATIENT,
    }


def _reopened(_: Life, event: Event) -> dict[str, Any]:
    form = event.form or {}
    times = {"changed": event.at, "held": event.at, "peak_held": event.at}
    up = {"closed": None, "closed_by": "", "superseded_by": ""}
    return {**times, **up, **_anew(Urgency(form["urgency"])), "form": form}


def _notified(life: Life, event: Event) -> dict[str, Any]:
    told = {"alerted": event.at, "last_alert": event.at, "last_alert_urgency": life.urgency, "level": Level.PATIENT}
    return {**told, "due": Due.NOTHING, "silenced": Silence.NONE}


def _acknowledged(_: Life, event: Event) -> dict[str, Any]:
    who = {"acknowledged": event.at, "acknowledged_by": event.by}
    return {**who, "state": LifeState.ACKNOWLEDGED, "due": Due.NOTHING, "snoozed_until": None}


def _snoozed(life: Life, event: Event) -> dict[str, Any]:
    told = {"state": LifeState.SNOOZED, "due": Due.NOTHING}
    return {**told, "snoozed_until": event.until, "snoozes": life.snoozes + 1}


def _again(life: Life, _: Event) -> dict[str, Any]:
    due = Due.REMINDER if life.alerted else _due(life.urgency)
    return {"state": LifeState.RAISED, "due": due, "snoozed_until": None}


def _closed(state: LifeState) -> Callable[[Life, Event], dict[str, Any]]:
    def change(_: Life, event: Event) -> dict[str, Any]:
        down = {"state": state, "closed": event.at, "closed_by": event.by, "superseded_by": event.detail}
        return {**down, "due": Due.NOTHING, "silenced": Silence.NONE, "snoozed_until": None}

    return change


def _delivered(_: Life, event: Event) -> dict[str, Any]:
    return {"delivered": event.at, "delivered_version": int(event.detail)}


def _seen(_: Life, event: Event) -> dict[str, Any]:
    return {"seen": event.at, "seen_by": event.by, "seen_version": int(event.detail)}


_CHANGES: dict[Act, Callable[[Life, Event], dict[str, Any]]] = {
    Act.UPDATED: _updated,
    Act.REOPENED: _reopened,
    Act.NOTIFIED: _notified,
    Act.SUPPRESSED: lambda _, event: {"silenced": Silence(event.detail)},
    Act.ACKNOWLEDGED: _acknowledged,
    Act.SNOOZED: _snoozed,
    Act.WOKEN: _again,
    Act.LAPSED: _again,
    Act.ESCALATED: lambda _, event: {"level": Level(event.detail)},
    Act.RESOLVED: _closed(LifeState.RESOLVED),
    Act.SUPERSEDED: _closed(LifeState.SUPERSEDED),
    Act.DELIVERED: _delivered,
    Act.SEEN: _seen,
}
