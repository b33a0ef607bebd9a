"""Half-space trees (Tan, Ting, Liu, IJCAI 2011) as the library river implements them."""

from __future__ import annotations

from edge_twin_app.errors import AppError
from edge_twin_app.evaluation.peers.rolling import robust
from edge_twin_app.evaluation.rules import section


class HalfSpaceTrees:
    """Scores today's robust z of heart rate and steps, then learns it.

    Raises:
        AppError: ``river_missing``; the library comes with the extra ``all``.
    """

    def __init__(self) -> None:
        try:
            from river.anomaly import HalfSpaceTrees as Trees  # noqa: PLC0415 - an extra, 1.5 s and 146 MB
        except ImportError as error:
            raise AppError("river is not installed; the extra all brings it", reason="river_missing") from error
        rule = section("half_space_trees")
        self._trees = Trees(n_trees=rule["trees"], height=rule["height"], window_size=rule["window"], seed=rule["seed"])
        self._span = float(rule["z_span"])
        self._rate, self._steps = robust(rule["z_floor"]), robust(rule["z_floor"])

    def update(self, day: int, rate: float, log_steps: float) -> float:
        """Score of the day."""
        del day
        features = {
            "rate": self._unit(self._rate.update(rate)),
            "steps": self._unit(-self._steps.update(log_steps)),
        }
        score = float(self._trees.score_one(features))
        self._trees.learn_one(features)
        return score

    def _unit(self, z: float) -> float:
        return max(0.0, min(1.0, (z + self._span) / (2.0 * self._span)))
