"""The discrepancy of a bundle: what its manifest holds and what its card says about it."""

from __future__ import annotations

from collections.abc import Mapping

LABORATORY_LOG_SD = 0.15
"""[A] error of a neutrophil count alone: counting error and the variation within a day."""


def discrepancy_document(fall_sd: float) -> dict[str, float | str]:
    """The manifest's ``discrepancy``; see ``edge_twin.discrepancy``.

    Args:
        fall_sd: as ``python -m edge_twin_models.mismatch`` prints it for the bundle.
    """
    return {
        "fall_sd": fall_sd,
        "laboratory_log_sd": LABORATORY_LOG_SD,
        "mark": "C",
        "source": "edge_twin_models.mismatch: split-conformal on simulated patients of another model; laboratory "
        "log-sd assumed",
    }


def discrepancy_text(document: Mapping[str, float | str]) -> str:
    """The card's section."""
    return f"""## Discrepancy of the next cycle [C]

From a later dose on, while no count of its cycle is known, the fall of the logarithm since the dose is multiplied,
for each member, by a normal factor about 1 (never negative) with standard deviation {document["fall_sd"]:g}: occasions
differ, and the equations are not the patient. The value makes the 95 % interval hold the next nadir of 95 % of
simulated patients of another model, with between-occasion variability assumed there
(`python -m edge_twin_models.mismatch`); it says nothing about measured patients. It shrinks with the residual error of
the forecast and is 0 at the laboratory's own {document["laboratory_log_sd"]:g} [A], which claims that the model has no
misfit.
"""
