"""A patient's ensemble, saved and restored: one npz of arrays and JSON, versioned, portable, without pickle.

The reduced models start at steady state before the first dose, so parameters, doses and counts are the
whole state: rolling out a restored one gives the same bits as going on with the original.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_twin.assimilation import Counts
from edge_twin.contract import Matrix, Model, Vector
from edge_twin.errors import StateError
from edge_twin.exposure import DoseEvent
from edge_twin.npz import read_arrays

SCHEMA = "edge-twin.patient-state/2"
READABLE = (SCHEMA, "edge-twin.patient-state/1")
"""Version 1 knew one drug: its doses are of the model's own."""
_ARRAYS = {"log_parameters": (np.float64, 2), "doses": (np.float64, 2), "days": (np.float64, 1),
           "values": (np.float64, 1), "below": (np.bool_, 1)}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PatientState:
    """What a twin knows about a patient; no name, no date.

    Attributes:
        model_id: name and version of the bundle that the parameters belong to.
        names: of the parameters, in order.
        log_parameters: [members, p].
        doses: in days since the first one.
        counts: assimilated so far.
        seed: of prior and noise.
    """

    model_id: str
    names: tuple[str, ...]
    log_parameters: Matrix
    doses: tuple[DoseEvent, ...]
    counts: Counts
    seed: int


def roll_out(model: Model, state: PatientState, days: Vector, planned: tuple[DoseEvent, ...] = ()) -> Matrix:
    """Counts [t, members] in 10*9/L at the given days, with planned doses added.

    Raises:
        StateError: ``other_model`` when the state belongs to another bundle.
    """
    check_model(model, state)
    return model.simulate(state.log_parameters, (*state.doses, *planned), days)


def check_model(model: Model, state: PatientState) -> None:
    """Refuse a state of another bundle.

    Raises:
        StateError: ``other_model``.
    """
    if (state.model_id, state.names) != (model.id, model.parameter_names):
        raise StateError(f"the state belongs to {state.model_id}, not {model.id}", reason="other_model")


def save_state(state: PatientState) -> bytes:
    """The state as bytes; equal states give equal bytes."""
    counts = state.counts
    below = np.zeros(counts.days.size, np.bool_) if counts.below is None else counts.below
    doses = np.array([(d.start_day, d.amount_mg, d.infusion_days) for d in state.doses], np.float64).reshape(-1, 3)
    arrays = {"log_parameters": state.log_parameters, "doses": doses, "days": counts.days, "values": counts.values,
              "below": below}  # fmt: skip
    drugs = [dose.drug for dose in state.doses]
    about = {"schema": SCHEMA, "model_id": state.model_id, "names": state.names, "seed": state.seed, "drugs": drugs}
    head = json.dumps({**about, "sha256": _digest(about, arrays)}, sort_keys=True).encode()
    target = io.BytesIO()
    np.savez(target, about=np.frombuffer(head, np.uint8), **arrays)  # type: ignore[arg-type]
    return target.getvalue()


def restore_state(content: bytes) -> PatientState:
    """The state that :func:`save_state` wrote.

    Raises:
        StateError: ``not_a_state``, ``schema_unsupported``, ``malformed``, ``corrupt`` (not what was saved).
    """
    try:
        stored = read_arrays(content)
        about = json.loads(stored["about"].tobytes())
        arrays = {name: stored[name] for name in _ARRAYS}
    except (KeyError, ValueError, RecursionError) as error:
        raise StateError("not a saved patient state", reason="not_a_state") from error
    if not isinstance(about, dict) or about.get("schema") not in READABLE:
        raise StateError(f"not a state of schema {SCHEMA}", reason="schema_unsupported")
    digest = about.pop("sha256", None)
    if digest != _digest(about, arrays):
        raise StateError("the state is not what was saved", reason="corrupt")
    return _state(about, arrays)


def _state(about: Mapping[str, Any], arrays: Mapping[str, Any]) -> PatientState:
    shaped = all(arrays[n].dtype == kind and arrays[n].ndim == rank for n, (kind, rank) in _ARRAYS.items())
    try:
        names, seed, model_id = tuple(map(str, about["names"])), int(about["seed"]), str(about["model_id"])
    except (KeyError, TypeError, ValueError) as error:
        raise StateError("the state lacks its description", reason="malformed") from error
    if not shaped or arrays["log_parameters"].shape[1] != len(names) or arrays["doses"].shape[1] != 3:  # noqa: PLR2004 - day, mg, days
        raise StateError("the arrays do not fit their description", reason="malformed")
    counts = Counts(arrays["days"], arrays["values"], arrays["below"])
    drugs = about.get("drugs", [""] * len(arrays["doses"]))
    if not isinstance(drugs, list) or len(drugs) != len(arrays["doses"]) or not all(isinstance(d, str) for d in drugs):
        raise StateError("each dose needs its drug", reason="malformed")
    rows = zip(*arrays["doses"].T.tolist(), drugs, strict=True)
    doses = tuple(DoseEvent(day, amount, infusion, drug) for day, amount, infusion, drug in rows)
    return PatientState(model_id, names, arrays["log_parameters"], doses, counts, seed)


def _digest(about: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
    total = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in _ARRAYS:
        total.update(f"{name}{arrays[name].dtype.str}{arrays[name].shape}".encode())
        total.update(np.ascontiguousarray(arrays[name]).tobytes())
    return total.hexdigest()
