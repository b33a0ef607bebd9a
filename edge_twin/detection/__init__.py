"""Detection of changes against a person's own baseline; docs/detection.md explains the mathematics."""

from edge_twin.detection.detector import Detector
from edge_twin.detection.record import DayRecord, DayScore, Dropped, NoScore

__all__ = ["DayRecord", "DayScore", "Detector", "Dropped", "NoScore"]
