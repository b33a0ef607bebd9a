"""Seven sensors at once, lost links, lost bonds, a reset clock, a stalled report: every record is accounted for.

The bars stand here before any run: every record of every sensor arrives exactly once with the values that
were measured, or lies in a gap that was told; what a sensor stores arrives whatever happens; no gap is told
for longer than the sensor was away and the client may take to come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from edge_twin_adapters.ble.peers.accounting import COLUMNS, Account
from edge_twin_adapters.ble.peers.catalogue import identity_of
from edge_twin_adapters.ble.peers.faults import Fault, FaultKind
from edge_twin_adapters.ble.peers.ingestion import INGESTIBLE, Ingestion, Scenario, faulty_day, ingest
from edge_twin_adapters.errors import AdapterError

STORED = {"body_temperature", "body_weight", "systolic_pressure", "glucose_interstitial"}
LIVE_PER_S = {"rr_interval": 2.0, "ecg": 130 / 73, "acceleration": 1.0, "oxygen_saturation": 1.0}
# Simulated seconds that a client may need to find a sensor again, pair and subscribe: scan, connection and
# back-off of up to 64 s after repeated failures [A].
COMES_BACK_S = 300.0


@contextmanager
def quiet_controllers(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Bumble's controllers complain when a link goes in the middle of something, which is what happens here."""
    with caplog.at_level("CRITICAL", logger="bumble"):
        yield


def show(result: Ingestion) -> None:
    print(" ".join(f"{name:>9}" for name in COLUMNS[2:]), "sensor stream")  # noqa: T201 - the report is the point
    for one in result.accounts:
        row = one.row()
        counts = " ".join(f"{row[name]:>9}" for name in COLUMNS[2:])
        print(counts, row["sensor"], row["stream"])  # noqa: T201 - as above
    print({kind.value: count for kind, count in result.faults.items()})  # noqa: T201 - as above
    for name, counters in result.counters.items():
        print(name, counters)  # noqa: T201 - as above
    print(  # noqa: T201 - as above
        f"{result.notifications} values, {result.simulated_s:.0f} simulated s in {result.wall_s:.1f} s: "
        f"{result.simulated_s / result.wall_s:.0f} x real time; {result.cpu_s:.1f} processor s, "
        f"{result.cpu_s * 86_400 / result.simulated_s:.0f} for a day"
    )


def away_s(scenario: Scenario, sensor: str) -> float:
    losses = [
        f for f in scenario.faults if f.sensor == sensor and f.kind in {FaultKind.DISCONNECT, FaultKind.LOST_BOND}
    ]
    return sum(fault.amount + COMES_BACK_S for fault in losses)


def check(result: Ingestion, scenario: Scenario) -> None:
    assert result.is_closed, [(one.row(), one.unexplained[:3]) for one in result.accounts if not one.is_closed]
    assert result.faults == {
        FaultKind.DISCONNECT: 20,
        FaultKind.LOST_BOND: 2,
        FaultKind.CLOCK_RESET: 1,
        FaultKind.STALLED_BACKFILL: 1,
    }
    assert {one.stream for one in result.accounts} == STORED | set(LIVE_PER_S)
    for one in result.accounts:
        assert one.once + one.in_gap == one.measured > 0
        if one.stream in STORED:
            assert one.in_gap == 0
        else:
            assert one.in_gap <= LIVE_PER_S[one.stream] * away_s(scenario, one.sensor)
    assert all(one.refused == 0 for one in result.counters.values())
    counters = result.counters[identity_of("cgm").name]
    assert counters.backfill_failures >= 1
    assert counters.backfills >= 2
    # A link that is lost while it is set up is a failed attempt and no reconnection.
    assert sum(one.reconnects + one.failed_attempts for one in result.counters.values()) >= 22


@pytest.mark.timeout(300)
async def test_a_quarter_of_an_hour_in_which_everything_goes_wrong(caplog: pytest.LogCaptureFixture) -> None:
    scenario = faulty_day(900.0, seed=2026)
    with quiet_controllers(caplog):
        result = await ingest(scenario)
    show(result)
    check(result, scenario)


@pytest.mark.slow
@pytest.mark.timeout(7200)
async def test_a_day_in_which_everything_goes_wrong(caplog: pytest.LogCaptureFixture) -> None:
    scenario = faulty_day(86_400.0, seed=1122)
    with quiet_controllers(caplog):
        result = await ingest(scenario)
    show(result)
    check(result, scenario)
    # 20 lost links of at most two minutes each are less than a twentieth of a day.
    live = [one for one in result.accounts if one.stream not in STORED]
    assert all(one.once >= 0.95 * one.measured for one in live)


async def test_without_faults_nothing_is_lost_and_no_gap_is_told() -> None:
    kinds = tuple(kind for kind in INGESTIBLE if kind not in {"heart_rate", "weight"})
    result = await ingest(Scenario(kinds, 330.0, seed=5))
    show(result)
    assert result.is_closed
    assert result.faults == {}
    assert [one.row() for one in result.accounts if one.in_gap or one.refused] == []
    assert all(counters.reconnects == counters.gaps == 0 for counters in result.counters.values())
    assert {one.sensor for one in result.accounts} >= {identity_of(k).name for k in ("polar", "room", "running", "cgm")}


async def test_a_loss_that_nobody_told_of_is_found() -> None:
    """The account itself is tested: a heart rate that is dropped leaves no trace, and that must show."""
    scenario = replace(faulty_day(900.0, 1), kinds=("heart_rate",), seconds=60.0, faults=(), protected=frozenset())
    name = identity_of("heart_rate").name
    result = await ingest(replace(scenario, faults=(Fault(20.0, FaultKind.DROP, name, 3.0),)))
    (one,) = result.accounts
    assert one.missing >= 2
    assert not result.is_closed


def test_a_sensor_that_only_broadcasts_is_not_connected_to() -> None:
    with pytest.raises(AdapterError) as caught:
        Scenario(("mi_scale",), 60.0, seed=1)
    assert caught.value.reason == "unknown_sensor"


def test_an_account_adds_up() -> None:
    one = Account("a", "ecg", measured=3, once=1, in_gap=1, missing=1)
    assert one.once + one.in_gap + one.missing == one.measured
    assert not one.is_closed
    assert tuple(one.row()) == COLUMNS
