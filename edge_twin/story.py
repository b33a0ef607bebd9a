"""A clinical story: what people see of a case, step by step, as the life of its flags; pure and deterministic.

``edge-twin replay CASE.json --life`` prints it. The steps of the case are the steps of the life cycle; nobody
acknowledges anything, and the clock speaks at the moments of the case alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edge_twin.case import Case
from edge_twin.contract import Model, TwinOutput
from edge_twin.flags.alarm_rules import AlarmRules, alarm_rules
from edge_twin.flags.life import Event, Life, Lives
from edge_twin.flags.lifecycle import follow
from edge_twin.jsonform import canonical, plain
from edge_twin.twin import advance

SCHEMA = "edge-twin.story-result/1"
_PARTS = ("action", "reason", "clinician", "would_change", "limits", "data_quality")


def tell(outputs: Iterable[TwinOutput], rules: AlarmRules) -> list[dict[str, Any]]:
    """What happened to the flags of successive steps, each step as JSON values.

    Args:
        outputs: of one patient, in the order of their times.
        rules: thresholds of the life cycle.

    Returns:
        For each step ``now``, the ``events`` of the life cycle, the flags that are ``up`` after it, and the
        ``refusals``. An event that changed what a flag says carries its sentences, probability and bound.
    """
    lives = Lives()
    steps = []
    for output in outputs:
        lives, events = follow(lives, output.flags, output.now, rules)
        told = [_event_form(event, lives.by_key[event.key]) for event in events]
        up = [{"key": life.key, "urgency": life.shown_urgency, "state": life.state} for life in lives.up]
        steps.append(plain({"now": output.now, "events": told, "up": up, "refusals": output.refusals}))
    return steps


def tell_case(case: Case, model: Model | None, further_models: tuple[Model, ...] = ()) -> bytes:
    """The story of a case file as canonical JSON; the same case gives the same bytes.

    Args:
        case: as read.
        model: preferred model.
        further_models: as ``Case.inputs``.
    """
    outputs = (advance(given) for given in case.inputs(model, further_models))
    steps = tell(outputs, alarm_rules(case.program))
    return canonical({"schema": SCHEMA, "title": case.title, "steps": steps})


def _event_form(event: Event, life: Life) -> dict[str, Any]:
    form: dict[str, Any] = {"key": event.key, "act": event.act, "detail": event.detail, "urgency": life.shown_urgency}
    if event.form is None:
        return form
    said = {part: event.form[part] for part in _PARTS}
    facts = {name: event.form[name] for name in ("probability", "horizon", "bound", "ctcae")}
    return {**form, "urgency": event.form["urgency"], **facts, **said}
