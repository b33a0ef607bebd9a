"""The peers: published and customary detectors, written from their definitions, one fresh state for each subject.

Windows count rows, i.e. days with a record. Every peer gives a score of today from today and earlier rows alone: higher
is more abnormal, NaN is not scored, minus infinity cannot be flagged at any threshold.
"""

from __future__ import annotations

from edge_twin_app.evaluation.peers.known import PEERS, Peer, Stepper

__all__ = ["PEERS", "Peer", "Stepper"]
