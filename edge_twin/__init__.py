"""The twin: observations, features, reduced models, forecast, flags. Runs on a phone with numpy alone.

The public surface: open a bundle, create a patient's twin, assimilate, forecast, rehearse, explain, save.
Names load on first use, so that importing a part does not import the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_twin.contract import Dose
    from edge_twin.errors import EdgeTwinError
    from edge_twin.patient import PatientTwin, open_bundle, restore
    from edge_twin.program import load_program
    from edge_twin.rehearsal import NextCycle

__all__ = ["Dose", "EdgeTwinError", "NextCycle", "PatientTwin", "load_program", "open_bundle", "restore"]

_HOMES = {
    "Dose": "contract",
    "EdgeTwinError": "errors",
    "NextCycle": "rehearsal",
    "PatientTwin": "patient",
    "load_program": "program",
    "open_bundle": "patient",
    "restore": "patient",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'edge_twin' has no attribute {name!r}")
    return getattr(import_module(f"edge_twin.{_HOMES[name]}"), name)
