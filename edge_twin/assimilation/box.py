"""Bounded parameters without clipping: the envelope's box, stretched to the whole line by a logit.

A Kalman update is linear and knows no bounds. Clipping its result piles members up on the walls and
falsifies every later covariance; in the coordinates of this module there are no walls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_twin.contract import Matrix, Vector

MARGIN = 1e-6  # members that start on or outside a wall are placed this share of the box inside it


@dataclass(frozen=True, eq=False)
class BoxTransform:
    """Log parameters inside (low, high) to and from unbounded coordinates.

    Attributes:
        low, high: [p] bounds of the log parameters.
    """

    low: Vector
    high: Vector

    def unbounded(self, log_parameters: Matrix) -> Matrix:
        """[n, p] logit of the position inside the box."""
        share = np.clip((log_parameters - self.low) / (self.high - self.low), MARGIN, 1.0 - MARGIN)
        return np.asarray(np.log(share) - np.log1p(-share))

    def log_parameters(self, unbounded: Matrix) -> Matrix:
        """[n, p] the way back; always inside the box."""
        share = 0.5 * (1.0 + np.tanh(0.5 * unbounded))
        return np.asarray(self.low + share * (self.high - self.low))
