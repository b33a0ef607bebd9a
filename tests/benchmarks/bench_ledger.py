"""What a year of the ledger costs: bytes, one append, and the walk over it.

Run: ``python -m tests.benchmarks.bench_ledger``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_twin.contract import Dose, Model, TwinInput
from edge_twin.ledger import Entered, verify
from edge_twin.program import Program, load_program
from edge_twin.promises import forecast_promise
from edge_twin.store import Store
from edge_twin.trust_rules import trust_rules
from edge_twin.twin import advance
from edge_twin_app.models import load_models

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def main() -> None:
    """Chain a forecast as often as the rule asks for, for a year of cycles of three weeks."""
    program, every = load_program("neutropenia"), trust_rules().span("ledger", "forecast_hours")
    model = load_models(program)[0]
    dose = Dose(START, "docetaxel", 150.0, timedelta(hours=1))
    promises = [_promise(program, model, dose, day) for day in range(21)]
    with tempfile.TemporaryDirectory() as folder, closing(Store(Path(folder) / "year.db")) as store:
        number = int(timedelta(days=365) / every)
        began = time.perf_counter()
        with store.transaction():
            for n in range(number):
                at = START + n * every
                store.ledger.append(Entered.FORECAST, at, promises[(at - START).days % 21] or {}, subject="neutropenia")
        append = (time.perf_counter() - began) / number
        (size,) = store.database.query("SELECT sum(length(body)) AS body, count(*) * 130 AS rest FROM ledger")
        began = time.perf_counter()
        found = verify(store.ledger.entries())
        walk = time.perf_counter() - began
    sys.stdout.write(
        f"{found.entries} entries a year, bodies {size['body'] / 1e6:.2f} MB, rows about {size['rest'] / 1e6:.2f} MB; "
        f"append {1e3 * append:.3f} ms; walk of a year {1e3 * walk:.0f} ms\n"
    )


def _promise(program: Program, model: Model, dose: Dose, day: int) -> dict[str, Any] | None:
    given = TwinInput(START + timedelta(days=day, hours=2), "UTC", program, model, doses=(dose,))
    return forecast_promise(given, advance(given))


if __name__ == "__main__":
    main()
