"""Case files: one patient's input as JSON, and the canonical result of replaying it.

The form stands in docs/formats.md. A case names its program and bundle; the caller, who knows where
bundles live, supplies the model. Unknown keys are refused, so a misspelt one is never ignored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from edge_twin import codes
from edge_twin.care_form import read_care
from edge_twin.contract import Coverage, Dose, Model, TwinInput
from edge_twin.errors import CaseError, ObservationError
from edge_twin.features import Feature
from edge_twin.jsonform import canonical, output_form
from edge_twin.observation import Observation, Origin, Quality, as_utc, observe
from edge_twin.program import Program, load_program
from edge_twin.rehearsal import NextCycle
from edge_twin.twin import advance

SCHEMA = "edge-twin.case/2"
RESULT_SCHEMA = "edge-twin.case-result/4"
SMALLEST_ENSEMBLE, LARGEST_ENSEMBLE = 50, 100_000  # a 95 % interval needs members; memory needs a bound
SMALLEST_AREA_M2, LARGEST_AREA_M2 = 0.5, 4.0  # outside it the number is no body surface (assumed)
_KEYS = frozenset(
    (
        "schema",
        "title",
        "time_zone",
        "program",
        "now",
        "seed",
        "members",
        "observations",
        "doses",
        "coverage",
        "next_cycle",
    )
)
_READING = frozenset(
    ("code", "value", "unit", "time", "source", "quality", "origin", "attributes", "sequence", "arrived")
)
_FEATURE = frozenset(("name", "value", "unit", "start", "end", "count", "valid_share", "reason"))
# A field case is evidence: old ones stay readable.
_KEYS_OF = {"edge-twin.case/1": _KEYS, SCHEMA: _KEYS | {"care", "features"}}


@dataclass(frozen=True)
class Case:
    """A case file, read.

    Attributes:
        title: one line for people.
        program: the disease program.
        moments: the times at which the step is taken, in order; at each, later observations are unknown.
        template: the input with everything but the model, at the last moment.
        next_cycle: the dose that is planned next, for a rehearsal; None when the case names none.
        arrivals: when a late observation came, by its id; one without an entry came when it was measured.
    """

    title: str
    program: Program
    moments: tuple[datetime, ...]
    template: TwinInput
    next_cycle: NextCycle | None
    arrivals: Mapping[str, datetime] = field(default_factory=dict)

    def inputs(self, model: Model | None, further_models: tuple[Model, ...] = ()) -> tuple[TwinInput, ...]:
        """One input for each moment, holding only what had been measured or given by then.

        Args:
            model: preferred model.
            further_models: for drugs that it does not know, in order of preference.
        """
        template = replace(self.template, model=model, further_models=further_models)
        return tuple(self._at(template, moment) for moment in self.moments)

    def _at(self, template: TwinInput, now: datetime) -> TwinInput:
        last = now == self.moments[-1]
        known = tuple(o for o in template.observations if last or self.arrivals.get(o.id, o.time) <= now)
        distilled = tuple(feature for feature in template.features if feature.end <= now)
        return replace(template, now=now, observations=known, features=distilled)


def read_case(document: bytes | str) -> Case:
    """Read a case file.

    Raises:
        CaseError: ``not_json``, ``schema_unsupported``, ``unknown_key``, ``malformed``, ``unknown_code``,
            ``wrong_unit``, or the reason of the observation that could not be one.
    """
    try:
        form = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise CaseError(f"not JSON: {error}", reason="not_json") from error
    if not isinstance(form, Mapping) or form.get("schema") not in _KEYS_OF:
        raise CaseError(f"not a case of schema {SCHEMA}", reason="schema_unsupported")
    _refuse_unknown(form, _KEYS_OF[form["schema"]])
    try:
        return _case(form)
    except ObservationError as error:
        raise CaseError(str(error), reason=error.reason) from error
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CaseError(f"malformed case: {error!r}", reason="malformed") from error


def replay(case: Case, model: Model | None, further_models: tuple[Model, ...] = ()) -> bytes:
    """Take the pure step at each moment of the case; the same case gives the same bytes.

    Args:
        case: as read.
        model: preferred model.
        further_models: as ``Case.inputs``.
    """
    steps = [output_form(advance(given)) for given in case.inputs(model, further_models)]
    return canonical({"schema": RESULT_SCHEMA, "title": case.title, "steps": steps})


def _case(form: Mapping[str, Any]) -> Case:
    moments = tuple(sorted(_time(text) for text in form["now"]))
    program = load_program(str(form["program"]))
    template = TwinInput(
        now=moments[-1],
        time_zone=ZoneInfo(form["time_zone"]).key,
        program=program,
        model=None,
        observations=tuple(_observation(row) for row in form.get("observations", ())),
        features=tuple(_feature(row) for row in form.get("features", ())),
        doses=tuple(_dose(row) for row in form.get("doses", ())),
        coverage=_coverage(form.get("coverage", {})),
        seed=_whole(form.get("seed", 1), 0, 2**63 - 1),
        members=_whole(form["members"], SMALLEST_ENSEMBLE, LARGEST_ENSEMBLE) if "members" in form else None,
        care=read_care(form.get("care", {})),
    )
    planned = _next_cycle(form["next_cycle"]) if "next_cycle" in form else None
    return Case(str(form.get("title", "")), program, moments, template, planned, _arrivals(form))


def _arrivals(form: Mapping[str, Any]) -> dict[str, datetime]:
    """When late observations came, by id."""
    arrivals = {_observation(row).id: _time(row["arrived"]) for row in form.get("observations", ()) if "arrived" in row}
    if arrivals and form["schema"] != SCHEMA:
        raise CaseError("unknown key 'arrived'", reason="unknown_key")
    return arrivals


def _next_cycle(row: Mapping[str, Any]) -> NextCycle:
    area = float(row["body_surface_m2"])
    if not SMALLEST_AREA_M2 <= area <= LARGEST_AREA_M2:
        raise CaseError(f"a body surface of {area} m2", reason="malformed")
    return NextCycle(_dose({key: value for key, value in row.items() if key != "body_surface_m2"}), area)


def _coverage(row: Mapping[str, Any]) -> Coverage:
    _refuse_unknown(row, {"seen", "inside"})
    seen = _whole(row.get("seen", 0), 0, 10**9)
    return Coverage(seen, _whole(row.get("inside", 0), 0, seen))


def _whole(value: object, low: int, high: int) -> int:
    """A whole number within bounds, never a bool or a text that looks like one."""
    if type(value) is not int or not low <= value <= high:
        raise CaseError(f"{value!r} is not a whole number from {low} to {high}", reason="malformed")
    return value


def _observation(row: Mapping[str, Any]) -> Observation:
    _refuse_unknown(row, _READING)
    code = codes.by_name(row["code"])
    if code is None:
        raise CaseError(f"unknown code {row['code']!r}", reason="unknown_code")
    if row["unit"] != code.unit:
        raise CaseError(f"{code.name} is in {code.unit}, not {row['unit']!r}", reason="wrong_unit")
    return observe(
        code,
        float(row["value"]),
        _time(row["time"]),
        source=row["source"],
        origin=Origin(row.get("origin", Origin.DEVICE)),
        quality=Quality(row.get("quality", Quality.GOOD)),
        attributes=row.get("attributes"),
        sequence=int(row.get("sequence", 0)),
    )


def _feature(row: Mapping[str, Any]) -> Feature:
    """A number that was distilled before the case begins; JSON null where its data did not qualify."""
    _refuse_unknown(row, _FEATURE)
    value = None if row["value"] is None else float(row["value"])
    start, end, share = _time(row["start"]), _time(row["end"]), float(row["valid_share"])
    if end < start or not 0.0 <= share <= 1.0 or (value is not None and not math.isfinite(value)):
        raise CaseError(f"{row['name']!r} is no feature", reason="malformed")
    return Feature(
        name=str(row["name"]),
        value=value,
        unit=str(row["unit"]),
        start=start,
        end=end,
        count=_whole(row["count"], 0, 10**9),
        valid_share=share,
        reason=str(row.get("reason", "")),
    )


def _dose(row: Mapping[str, Any]) -> Dose:
    _refuse_unknown(row, {"time", "drug", "amount_mg", "infusion_minutes"})
    amount = float(row["amount_mg"])
    infusion = timedelta(minutes=float(row["infusion_minutes"]))
    if not (0.0 < amount < float("inf") and infusion >= timedelta(0)):
        raise CaseError("a dose needs a positive amount and a length that is not negative", reason="malformed")
    return Dose(_time(row["time"]), str(row["drug"]), amount, infusion)


def _time(text: str) -> datetime:
    return as_utc(datetime.fromisoformat(text))


def _refuse_unknown(form: Mapping[str, Any], known: frozenset[str] | set[str]) -> None:
    if unknown := set(form) - set(known):
        raise CaseError(f"unknown key {min(unknown)!r}", reason="unknown_key")
