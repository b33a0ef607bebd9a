"""What happens to a flag after it was raised: a pure state machine; the time comes in, nothing is read or written.

The step of the twin says which flags hold now. :func:`follow` makes of that what people see: a flag that flickers
stays up, one that comes again is not told again at once, a weaker one gives way to a stronger one, statistical
signals keep an alarm budget, and what nobody answers climbs. What needs a call now is never delayed, silenced,
snoozed or replaced. Every threshold is data (:mod:`edge_twin.flags.alarm_rules`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from edge_twin.errors import LifeError
from edge_twin.flag import Flag, Urgency
from edge_twin.flags.alarm_rules import AlarmRules, Level
from edge_twin.flags.life import Act, Alert, Due, Event, Form, Life, LifeState, Lives, Silence, Step
from edge_twin.jsonform import flag_form, plain

_NEWS = ("probability", "evidence", "bound", "ctcae")  # parts of a flag whose change is a new version
LONGEST_NAME = 80  # characters of the name of a person who acts

HeldBack = Callable[[Life], Silence]
"""Why the patient is not told of a flag: the program has not earned it (edge_twin/trust.py)."""


def nothing_held_back(_: Life) -> Silence:
    """Every flag may be told."""
    return Silence.NONE


def follow(
    lives: Lives, flags: Iterable[Flag], now: datetime, rules: AlarmRules, held_back: HeldBack = nothing_held_back
) -> Step:
    """One step: which flags hold now, and what follows for every flag.

    Args:
        lives: where the flags stood before.
        flags: those that hold at ``now``; of two with the same key the more urgent one counts.
        now: aware UTC.
        rules: thresholds.
        held_back: such a flag is kept, and neither told nor escalated, and replaces no other.
    """
    walk = _Walk(lives, now, rules, held_back)
    holding = _by_key(flags)
    for life in walk.lives.up:
        if life.key not in holding:
            walk.miss(life)
    for key, flag in holding.items():
        walk.hold(key, flag)
    walk.supersede()
    walk.remind()
    return Step(walk.lives, tuple(walk.events))


def tick(lives: Lives, now: datetime, rules: AlarmRules, held_back: HeldBack = nothing_held_back) -> Step:
    """What the clock alone calls for between two steps: ended snoozes, reminders, missing answers."""
    walk = _Walk(lives, now, rules, held_back)
    walk.remind()
    return Step(walk.lives, tuple(walk.events))


def acknowledge(lives: Lives, number: int, who: str, now: datetime) -> Step:
    """A person takes note of a flag.

    Raises:
        LifeError: ``not_found``, ``not_open`` or ``no_name``.
    """
    life = _open(lives, number)
    return _single(lives, Event(life.id, life.key, Act.ACKNOWLEDGED, now, by=_name(who)))


def snooze(  # noqa: PLR0913 - who snoozes what, when, for how long, under which rules: nothing can be left out
    lives: Lives, number: int, now: datetime, rules: AlarmRules, *, who: str, length: timedelta
) -> Step:
    """A person silences a flag for a while.

    Raises:
        LifeError: ``not_found``, ``not_open``, ``no_name``, ``urgent`` for what needs a call now, ``bad_length``,
            ``too_long`` or ``too_often``.
    """
    life = _open(lives, number)
    longest, most = rules.span("alarm_snooze", "longest_hours"), rules.value("alarm_snooze", "most_times")
    if life.urgency is Urgency.NOW:
        raise LifeError(f"flag {number} needs a call now and cannot be snoozed", reason="urgent")
    if length <= timedelta(0):
        raise LifeError("a snooze lasts longer than nothing", reason="bad_length")
    if length > longest:
        raise LifeError(f"a snooze lasts at most {longest / timedelta(hours=1):g} hours", reason="too_long")
    if life.snoozes >= most:
        raise LifeError(f"flag {number} was snoozed {life.snoozes} times: acknowledge it", reason="too_often")
    return _single(lives, Event(life.id, life.key, Act.SNOOZED, now, by=_name(who), until=now + length))


def close(lives: Lives, number: int, who: str, now: datetime) -> Step:
    """A clinician closes a flag; it stays down until it rests on something else or becomes more urgent.

    Raises:
        LifeError: ``not_found``, ``not_open`` or ``no_name``.
    """
    life = _open(lives, number)
    return _single(lives, Event(life.id, life.key, Act.RESOLVED, now, by=_name(who)))


def deliver(lives: Lives, number: int, version: int, now: datetime) -> Step:
    """The clinic's system has confirmed that it stored a version of a flag.

    Raises:
        LifeError: ``not_found``.
    """
    life = _known(lives, number)
    return _single(lives, Event(life.id, life.key, Act.DELIVERED, now, detail=str(version)))


def see(lives: Lives, number: int, who: str, version: int, now: datetime) -> Step:
    """A named person has looked at a version of a flag.

    Raises:
        LifeError: ``not_found`` or ``no_name``.
    """
    life = _known(lives, number)
    return _single(lives, Event(life.id, life.key, Act.SEEN, now, by=_name(who), detail=str(version)))


def _single(lives: Lives, event: Event) -> Step:
    return Step(lives.after(event), (event,))


def _known(lives: Lives, number: int) -> Life:
    for life in lives.by_key.values():
        if life.id == number:
            return life
    raise LifeError(f"no flag {number}, or a newer one took its place", reason="not_found")


def _open(lives: Lives, number: int) -> Life:
    life = _known(lives, number)
    if not life.is_open:
        raise LifeError(f"flag {number} is {life.state}", reason="not_open")
    return life


def _name(who: str) -> str:
    name = who.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise LifeError("an act needs the name of the person", reason="no_name")
    return name


def _by_key(flags: Iterable[Flag]) -> dict[str, Flag]:
    """Flags by key, the most urgent first, so that what the budget allows goes to them."""
    found: dict[str, Flag] = {}
    for flag in sorted(flags, key=lambda flag: (flag.urgency.rank, flag.key, flag.time)):
        found.setdefault(flag.key, flag)
    return found


class _Walk:
    """Goes through one step and keeps what happened."""

    def __init__(self, lives: Lives, now: datetime, rules: AlarmRules, held_back: HeldBack) -> None:
        self.lives = lives
        self._held_back = held_back
        self.events: list[Event] = []
        self._now = now
        self._rules = rules

    def _add(self, life: Life, act: Act, **details: Any) -> None:  # noqa: ANN401 - fields of Event, which checks them
        event = Event(life.id, life.key, act, self._now, **details)
        self.lives = self.lives.after(event)
        self.events.append(event)

    # ---- what holds -----------------------------------------------------------------------------------

    def miss(self, life: Life) -> None:
        """A flag that is up does not hold now; it comes down once it has not held for long enough."""
        if self._now - life.held >= self._rules.hold(life.kind, life.urgency):
            self._add(life, Act.RESOLVED)

    def hold(self, key: str, flag: Flag) -> None:
        """A flag holds now."""
        life = self.lives.by_key.get(key)
        if life is None:
            self._raise(key, flag)
        elif life.is_open:
            self._stand(life, flag)
        elif life.state is LifeState.SUPERSEDED and (stronger := self._stronger(life, flag.urgency)):
            self._stay_under(life, stronger)
        elif self._now - max(life.held, life.closed or life.held) > self._rules.span("alarm_reopen", "within_hours"):
            self._raise(key, flag)
        elif life.closed_by and flag.urgency.rank >= life.urgency.rank and not self._differs(life, flag):
            self._touch(life)  # a clinician closed just this
        else:
            self._add(life, Act.REOPENED, form=flag_form(flag))

    def _raise(self, key: str, flag: Flag) -> None:
        event = Event(self.lives.next_id, key, Act.RAISED, self._now, form=flag_form(flag))
        self.lives = self.lives.after(event)
        self.events.append(event)

    def _stand(self, life: Life, flag: Flag) -> None:
        """A flag that is up holds on: with a new version where it says something else."""
        fell = flag.urgency.rank > life.urgency.rank
        if fell and self._now - life.peak_held < self._rules.hold(life.kind, life.urgency):
            self._touch(life)  # still as urgent as it was shown: an urgency that flickers does not go up and down
        elif flag.urgency is not life.urgency or self._is_news(life, flag):
            self._add(life, Act.UPDATED, form=flag_form(flag))
        else:
            self._touch(life, peak=True)

    def _touch(self, life: Life, *, peak: bool = False) -> None:
        peak_held = self._now if peak else life.peak_held
        self.lives = self.lives.with_life(replace(life, held=self._now, peak_held=peak_held))

    def _is_news(self, life: Life, flag: Flag) -> bool:
        if timedelta(0) <= self._now - life.changed < self._rules.span("alarm_update", "quiet_minutes"):
            return False
        return self._differs(life, flag)

    def _differs(self, life: Life, flag: Flag) -> bool:
        form = {name: plain(getattr(flag, name)) for name in _NEWS}  # without the sentences, which cost the most
        step = self._rules.value("alarm_update", "probability_step")
        return _rests_on(life.form) != _rests_on(form) or _moved(life.form, form, step)

    # ---- what replaces what ---------------------------------------------------------------------------

    def supersede(self) -> None:
        """A weaker flag gives way to a stronger one that is up and at least as urgent."""
        for life in self.lives.up:
            if stronger := self._stronger(life, life.urgency):
                self._add(life, Act.SUPERSEDED, detail=stronger.key)

    def _stay_under(self, life: Life, stronger: Life) -> None:
        """A weaker flag still holds; it names the stronger one that is up now."""
        if life.superseded_by != stronger.key:
            self._add(life, Act.SUPERSEDED, detail=stronger.key)
        self._touch(self.lives.by_key[life.key])

    def _stronger(self, life: Life, urgency: Urgency) -> Life | None:
        kinds = self._rules.stronger.get(life.kind, frozenset())
        if not kinds or urgency is Urgency.NOW:
            return None
        over = (one for one in self.lives.up if one.kind in kinds and one.shown_urgency.rank <= urgency.rank)
        return next((one for one in over if self._held_back(one) is Silence.NONE), None)

    # ---- what people are told -------------------------------------------------------------------------

    def remind(self) -> None:
        """Ended snoozes and old acknowledgements, alerts that are due, answers that are missing."""
        for life in self.lives.up:
            self._wake(life)
        for life in self.lives.up:
            if life.due is not Due.NOTHING:
                self._tell(life)
        for life in self.lives.up:
            self._escalate(life)

    def _wake(self, life: Life) -> None:
        if life.snoozed_until is not None:
            left = life.snoozed_until - self._now
            # More left than the longest snooze: the clock was set back, and the snooze is over.
            if left <= timedelta(0) or left > self._rules.span("alarm_snooze", "longest_hours"):
                self._add(life, Act.WOKEN)
        elif self._is_forgotten(life):
            self._add(life, Act.LAPSED)

    def _is_forgotten(self, life: Life) -> bool:
        """Whether what needs a call now was acknowledged long ago and still stands."""
        if life.state is not LifeState.ACKNOWLEDGED or life.urgency is not Urgency.NOW or not life.acknowledged:
            return False
        return self._now - life.acknowledged >= self._rules.span("alarm_acknowledgement", "now_hours")

    def _tell(self, life: Life) -> None:
        silence = self._silence(life)
        if silence is Silence.NONE:
            self._add(life, Act.NOTIFIED, detail=self._class(life).value)
        elif silence is not life.silenced:
            self._add(life, Act.SUPPRESSED, detail=silence.value)

    def _class(self, life: Life) -> Alert:
        if life.due is Due.REMINDER:
            return Alert.REMINDER
        if life.urgency is Urgency.NOW:
            return Alert.URGENT
        return Alert.BUDGETED if life.kind in self._rules.budgeted else Alert.RULE

    def _silence(self, life: Life) -> Silence:
        """Why this alert is not made now; it is tried again at every step while the flag is up."""
        held_back = self._held_back(life)
        if held_back is not Silence.NONE:
            return held_back
        kind = self._class(life)
        if kind in {Alert.URGENT, Alert.REMINDER}:
            return Silence.NONE
        if self._is_refractory(life):
            return Silence.REFRACTORY
        if kind is Alert.BUDGETED and self._spent() >= self._rules.allowance:
            return Silence.OVER_BUDGET
        return Silence.NONE

    def _is_refractory(self, life: Life) -> bool:
        """Whether the key was told a short while ago and no less urgently."""
        if life.last_alert is None or life.last_alert_urgency is None:
            return False
        ago = self._now - life.last_alert
        recent = timedelta(0) <= ago < self._rules.refractory(life.urgency)
        return recent and life.last_alert_urgency.rank <= life.urgency.rank

    def _spent(self) -> int:
        return sum(self._now - alert < self._rules.budget_window for alert in self.lives.counted)

    def _escalate(self, life: Life) -> None:
        """Ask the next levels whose deadline has passed without an answer."""
        if life.state is not LifeState.RAISED or life.alerted is None or life.is_answered:
            return
        if self._held_back(life) is not Silence.NONE:
            return
        for level in Level:
            deadline = self._rules.deadline(life.urgency, level)
            if level.rank > life.level.rank and deadline is not None and self._now - life.alerted >= deadline:
                self._add(life, Act.ESCALATED, detail=level.value)


def _rests_on(form: Form) -> tuple[object, ...]:
    """What makes two versions of a flag say different things, apart from its probability."""
    readings = [(e["name"], e["value"], e["time"]) for e in form["evidence"]]
    return readings, (form.get("bound") or {}).get("id"), form.get("ctcae")


def _moved(before: Form, after: Form, step: float) -> bool:
    old, new = before["probability"], after["probability"]
    if old is None or new is None:
        return old is not new
    return abs(float(new) - float(old)) >= step
