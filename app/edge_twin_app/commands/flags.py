"""``edge-twin flags``: the flags of a device on a box without a console: list, acknowledge, close, snooze."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from edge_twin.deadman import check
from edge_twin.flags.alarm_rules import AlarmRules
from edge_twin.flags.life import Life, Lives, Step
from edge_twin.flags.lifecycle import acknowledge, close, snooze
from edge_twin.flags.whereabouts import escalation, whereabouts
from edge_twin.jsonform import plain
from edge_twin.store import Store
from edge_twin.trust import Audience, audience
from edge_twin.trusting import stage_kept
from edge_twin_app.commands.place import Place, add_place, place_of, positive
from edge_twin_app.device import system_clock
from edge_twin_app.errors import AppError

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    top = commands.add_parser("flags", help="flags of a device: list, acknowledge, close, snooze")
    actions = top.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="flags that are up, their sentences, and what would change them")
    listing.add_argument("--all", action="store_true", help="those that came down as well")
    listing.add_argument("--json", action="store_true", help="rows as JSON")
    listing.add_argument(
        "--for",
        dest="reader",
        type=Audience,
        choices=list(Audience),
        default=Audience.PATIENT,
        help="who reads: what a model says is shown as far as it has earned trust",
    )
    listing.set_defaults(run=_list)
    answering = actions.add_parser("acknowledge", help="take note of a flag by name")
    answering.set_defaults(run=_acknowledge)
    ending = actions.add_parser("close", help="a clinician closes a flag, until it rests on something else")
    ending.set_defaults(run=_close)
    snoozing = actions.add_parser("snooze", help="silence a flag for some hours; never one that needs a call now")
    snoozing.add_argument("--hours", type=positive, required=True, help="for how long")
    snoozing.set_defaults(run=_snooze)
    for parser in (answering, ending, snoozing):
        parser.add_argument("number", type=int, help="of the flag, as listed")
        parser.add_argument("--by", required=True, metavar="NAME", help="who does it")
    for parser in (listing, answering, ending, snoozing):
        add_place(parser)


def _open(path: Path) -> Store:
    if not path.exists():
        raise AppError(f"there is no store {path}", reason="no_store")
    return Store(path)


def _list(options: argparse.Namespace) -> int:
    place, now = place_of(options), system_clock()
    with closing(_open(place.store)) as store:
        stage = stage_kept(store.ledger)
        listed = store.flags.all() if options.all else store.flags.lives().up
        shown = [life for life in listed if options.reader in audience(life.form, stage)]
        alerts = store.flags.alerts(now - place.rules.budget_window, now)
        stopped = check(store.flags.heartbeat(), now, place.zone, place.rules)
    if options.json:
        rows = [_row(life, place.zone) for life in shown]
        document = {"rows": rows, "alerts": alerts, "runtime_stopped": stopped.reason if stopped else None}
        sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        return 0
    sys.stdout.write(f"{stopped.reason} {stopped.action}\n\n" if stopped else "")
    sys.stdout.write("".join(_said(life, place.zone) for life in shown) or f"{_NOTHING_UP}\n")
    sys.stdout.write(_load(alerts, place.rules))
    return 0


_NOTHING_UP = "No warning signs in what was recorded. If you feel unwell, call."


def _row(life: Life, zone: ZoneInfo) -> dict[str, Any]:
    escalated = escalation(life, zone)
    facts = {
        "id": life.id,
        "key": life.key,
        "urgency": life.shown_urgency,
        "state": life.state,
        "version": life.version,
        "raised": life.raised,
        "closed": life.closed,
        "acknowledged_by": life.acknowledged_by,
        "acknowledged": life.acknowledged,
        "closed_by": life.closed_by,
        "snoozed_until": life.snoozed_until,
        "silenced": life.silenced,
        "superseded_by": life.superseded_by,
        "whereabouts": whereabouts(life, zone).text,
        "escalation": escalated.text if escalated else "",
    }
    return {**{name: plain(value) for name, value in facts.items()}, **dict(_sentences(life))}


def _sentences(life: Life) -> Iterator[tuple[str, str]]:
    for part in ("action", "reason", "clinician", "would_change", "limits", "data_quality"):
        yield part, life.form[part]


def _said(life: Life, zone: ZoneInfo) -> str:
    raised = f"{life.raised.astimezone(zone):%Y-%m-%d %H:%M}"
    lines = [f"{life.id:>4}  {life.shown_urgency:<9} {_state(life, zone)}  {life.key}, raised {raised}"]
    lines += [f"      {name.replace('_', ' ')}: {text}" for name, text in _sentences(life) if text]
    escalated = escalation(life, zone)
    lines += [f"      {said.text}" for said in (whereabouts(life, zone), escalated) if said]
    return "\n".join(lines) + "\n\n"


def _state(life: Life, zone: ZoneInfo) -> str:
    if life.snoozed_until:
        return f"{life.state} until {life.snoozed_until.astimezone(zone):%Y-%m-%d %H:%M}"
    who = life.superseded_by or life.closed_by or life.acknowledged_by
    return f"{life.state} by {who}" if who else str(life.state)


def _load(alerts: dict[str, int], rules: AlarmRules) -> str:
    """How loud the device was, against the budget."""
    weeks = rules.value("alarm_budget", "window_weeks")
    counts = ", ".join(f"{name} {number}" for name, number in alerts.items()) or "none"
    return f"alerts of the last {weeks:g} weeks: {counts}; budget {rules.allowance} of the class budgeted\n"


def _acknowledge(options: argparse.Namespace) -> int:
    return _act(place_of(options), lambda lives, now: acknowledge(lives, options.number, options.by, now))


def _close(options: argparse.Namespace) -> int:
    return _act(place_of(options), lambda lives, now: close(lives, options.number, options.by, now))


def _snooze(options: argparse.Namespace) -> int:
    place, number, length = place_of(options), options.number, timedelta(hours=options.hours)
    return _act(place, lambda lives, now: snooze(lives, number, now, place.rules, who=options.by, length=length))


def _act(place: Place, act: Callable[[Lives, datetime], Step]) -> int:
    """One act of a person, in one transaction; a refusal comes out as a typed error and changes nothing."""
    with closing(_open(place.store)) as store:
        with store.transaction():
            before = store.flags.lives()
            step = act(before, system_clock())
            store.flags.keep(before, step)
        (event,) = step.events
        sys.stdout.write(_said(step.lives.by_key[event.key], place.zone))
    return 0
