"""``summary.json``: what a run did, read from the device's and the centre's databases (docs/formats.md)."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from edge_twin.contract import TwinInput, TwinOutput
from edge_twin.flags.life import Life
from edge_twin.flags.whereabouts import whereabouts
from edge_twin.jsonform import plain
from edge_twin.ledger import Entered
from edge_twin.store import Store
from edge_twin.trust import Stage, TrustGrant, audience
from edge_twin.trusting import stage_kept
from edge_twin_app.rehearsing import Rehearsal, option_row
from edge_twin_sync.gateway import read_stats
from edge_twin_sync.outbox import read_counts

SCHEMA = "edge-twin.summary/1"


@dataclass(frozen=True)
class Outcome:
    """What the run itself knows and the databases do not.

    Attributes:
        elapsed_s: wall time of the course.
        given, output: of the last step.
        notifications, reconnects, gaps, refused: of all Bluetooth sources, this process.
    """

    elapsed_s: float
    given: TwinInput
    output: TwinOutput
    notifications: int
    reconnects: int
    gaps: int
    refused: int


def summarise(store: Store, central: Path, outcome: Outcome, rehearsal: Rehearsal) -> dict[str, Any]:
    """The summary as JSON values."""
    output = outcome.output
    return {
        "schema": SCHEMA,
        "flags": [_flag(life, stage_kept(store.ledger)) for life in store.flags.all()],
        "trust": _trust(store),
        "refusals": plain(output.refusals),
        "forecast": _forecast(store, output),
        "rehearsal": [option_row(option) for option in rehearsal.options],
        "rehearsal_elapsed_ms": plain(rehearsal.elapsed_ms),
        "rehearsal_members": rehearsal.members,
        "sync": _sync(store, central),
        "ble": {
            "notifications": outcome.notifications,
            "reconnects": outcome.reconnects,
            "gaps": outcome.gaps,
            "refused": outcome.refused,
        },
        "counters": store.counters(),
        "observations": store.observation_counts(),
        "model": output.model_id,
        "engine": output.engine,
        "elapsed_s": plain(round(outcome.elapsed_s, 2)),
        "peak_rss_mb": peak_rss_mb(),
    }


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in megabytes (10**6 bytes)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def _trust(store: Store) -> dict[str, Any]:
    """The stage in force, why, who signed for it on which evidence, and the end of the ledger."""
    last, granted = store.ledger.last(Entered.STAGE), list(store.ledger.entries((Entered.GRANT,)))
    return {
        "stage": stage_kept(store.ledger).value,
        "why": last.says["why"] if last else "no_grant",
        "grants": [{"stage": entry.says["stage"], "signer": entry.says["signer"]} for entry in granted],
        "simulated_evidence": any(TrustGrant.simulated_in(entry.says["document"]) for entry in granted),
        "head": store.ledger.head().text,
    }


def _flag(life: Life, stage: Stage) -> dict[str, Any]:
    return {
        "audience": sorted(audience(life.form, stage)),
        "kind": life.kind.value,
        "key": life.key,
        "time": plain(life.raised),
        "withdrawn": plain(life.closed),
        "state": life.state.value,
        "superseded_by": life.superseded_by,
        "acknowledged_by": life.acknowledged_by,
        "closed_by": life.closed_by,
        "level": life.level.value,
        "silenced": life.silenced.value,
        "urgency": life.shown_urgency.value,
        "probability": life.form["probability"],
        "reason": life.form["reason"],
        "action": life.form["action"],
        "would_change": life.form["would_change"],
        "whereabouts": whereabouts(life, ZoneInfo("UTC")).text,
    }


def _forecast(store: Store, output: TwinOutput) -> dict[str, Any] | None:
    forecast, coverage = output.forecast, store.coverage()
    if forecast is None:
        return None
    return {
        **{name: plain(getattr(forecast, name)) for name in ("days", "median", "lower", "upper")},
        "state_lower": plain(forecast.state_lower),
        "state_upper": plain(forecast.state_upper),
        "origin": plain(forecast.origin),
        forecast.event.probability_name: plain(forecast.p_below),
        "counts_used": forecast.counts_used,
        # Each count was held against the interval forecast for it before it arrived.
        "counts_seen": coverage.seen,
        "counts_inside": coverage.inside,
        "interval": "counted" if forecast.interval_counted else "not yet validated",
    }


def _sync(store: Store, central: Path) -> dict[str, Any]:
    """Produced, stored and pending messages; what is neither stored nor pending is lost."""
    sent = read_counts(store.database)
    stored = read_stats(central)
    days = _days(store)
    return {
        "produced": sent.produced,
        "stored": stored.messages,
        "pending": sent.pending,
        "evicted": sent.evicted,
        "quarantined": sent.quarantined,
        "duplicates": stored.duplicates,
        "refused": stored.refused,
        "lost": sent.produced - stored.messages - sent.pending,
        "bytes": stored.bytes,
        "bytes_per_day": round(stored.bytes / days) if days else 0,
    }


def _days(store: Store) -> float:
    span = store.observation_span()
    return (span[1] - span[0]) / timedelta(days=1) if span else 0.0
