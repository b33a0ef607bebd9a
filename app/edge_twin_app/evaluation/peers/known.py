"""The peers by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from edge_twin_app.evaluation.peers.conformal import ConformalCusum
from edge_twin_app.evaluation.peers.cusum import CuSum
from edge_twin_app.evaluation.peers.ewma import Ewma
from edge_twin_app.evaluation.peers.halfspace import HalfSpaceTrees
from edge_twin_app.evaluation.peers.nightsignal import RED, YELLOW, ContinuousNightSignal, NightSignal
from edge_twin_app.evaluation.peers.rhrad import RestingHeartRateAnomaly
from edge_twin_app.evaluation.peers.rolling import PlainZ, RobustZ
from edge_twin_app.evaluation.rules import section
from edge_twin_app.evaluation.table import RATE, STEPS


class Stepper(Protocol):
    """The state of one peer for one subject."""

    def update(self, day: int, rate: float, log_steps: float) -> float:
        """Score of today's row; days ascend, a missing value is NaN."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer.

    Attributes:
        name: in tables.
        source: who published or defines it.
        streams: columns that it reads.
        start: a fresh state.
        alert_above: its own alert rule, where it has one.
    """

    name: str
    source: str
    streams: tuple[str, ...]
    start: Callable[[], Stepper]
    alert_above: float | None = None


_RATE, _BOTH = (RATE,), (RATE, STEPS)

PEERS: tuple[Peer, ...] = (
    Peer("nightsignal", "Alavi et al., Nat Med 2022;28:175", _RATE, NightSignal, (YELLOW + RED) / 2.0),
    Peer("nightsignal_continuous", "the same, without truncation and imputation", _RATE, ContinuousNightSignal),
    Peer(
        "rhrad_daily",
        "Mishra et al., Nat Biomed Eng 2020;4:1208, daily port",
        _RATE,
        RestingHeartRateAnomaly,
        section("rhrad")["alert_above"],
    ),
    Peer("z14", "plain z over 14 rows", _RATE, PlainZ, section("z14")["alert_above"]),
    Peer("robust_z", "median and MAD over 28 rows, lag 3", _RATE, RobustZ),
    Peer("cusum", "Mishra et al., Nat Biomed Eng 2020;4:1208, daily port", _RATE, CuSum, 0.0),
    Peer("ewma", "Roberts, Technometrics 1959;1:239, on the robust z", _RATE, partial(Ewma, with_steps=False)),
    Peer("ewma_steps", "the same, less the robust z of steps", _BOTH, partial(Ewma, with_steps=True)),
    Peer("half_space_trees", "Tan et al., IJCAI 2011; library river", _BOTH, HalfSpaceTrees),
    Peer("conformal_ecusum", "Vovk et al., ICML 2003; Shin et al., 2024", _RATE, ConformalCusum),
)
