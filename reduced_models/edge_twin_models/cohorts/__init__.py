"""Simulated wearable cohorts on which detectors are judged: daily rows around the onset of an infection.

Two generators that differ in structure: ``ar`` adds autocorrelated noise, rhythms and an onset-locked response;
``state`` lets a hidden semi-Markov process emit epochs of heart rate and bouts of steps, which are then summarised.
Every parameter stands with mark and source in ``ar.toml``, ``state.toml`` and ``streams.toml``.
"""

from __future__ import annotations

from edge_twin_models.cohorts.simulating import GENERATORS, simulate
from edge_twin_models.cohorts.table import STREAMS, CohortTable, Subject, write_csv

__all__ = ["GENERATORS", "STREAMS", "CohortTable", "Subject", "simulate", "write_csv"]
