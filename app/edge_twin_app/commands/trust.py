"""``edge-twin trust``: the stage in force, its evidence, grants, clinicians' outcomes and the ledger's walk."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_twin.ledger import Entered, read_head, verify
from edge_twin.program import Program, load_program
from edge_twin.promises import cover_of
from edge_twin.signing import SigningKey
from edge_twin.store import Store
from edge_twin.track_record import TrackRecord
from edge_twin.trust import Stage, TrustGrant, missing
from edge_twin.trust_rules import trust_rules
from edge_twin.trusting import stage_kept
from edge_twin_app.device import system_clock
from edge_twin_app.errors import AppError
from edge_twin_app.trusting import record_of, signed_grant

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers

LONGEST_NAME = 80


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    top = commands.add_parser("trust", help="stages of trust: status, evidence, grant, outcome, verify, simulate")
    actions = top.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, run, said in (
        ("status", _status, "stage in force, why, evidence so far, what the next stage lacks, head of the ledger"),
        ("evidence", _evidence, "track record of one or more devices, as the document that a grant rests on"),
        ("verify", _verify, "walk the ledger and name the first link that does not hold"),
        ("outcome", _outcome, "a clinician says whether a flag was right"),
    ):
        parser = actions.add_parser(name, help=said)
        parser.add_argument("--store", type=Path, required=True, action="append", help="database file of the device")
        parser.add_argument("--program", default="neutropenia", help="disease program")
        parser.add_argument("--bundle", help="model as the ledger names it; that of the newest forecast otherwise")
        parser.set_defaults(run=run)
        if name in _MORE:
            _MORE[name](parser)
    _add_grant(actions)
    _add_simulate(actions)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--head", type=read_head, action="append", default=[], help="NUMBER:DIGEST kept elsewhere")


def _add_outcome(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", type=int, help="of the flag")
    parser.add_argument("verdict", choices=("confirmed", "rejected"))
    parser.add_argument("--by", required=True, metavar="NAME", help="the clinician")


_MORE = {"verify": _add_verify, "outcome": _add_outcome}


def _add_grant(actions: Subparsers) -> None:
    parser = actions.add_parser("grant", help="sign a grant with a clinician's key; a device enters it at its start")
    parser.add_argument("evidence", type=Path, help="document of `trust evidence`")
    parser.add_argument("--key", type=Path, required=True, help="the clinician's signing key (`models key`)")
    parser.add_argument("--site", required=True, help="as the settings of the site name it")
    parser.add_argument("--stage", type=Stage, choices=list(Stage), required=True)
    parser.add_argument("--days", type=int, default=365, help="for how long")
    parser.add_argument("--out", type=Path, required=True)
    parser.set_defaults(run=_grant)


def _add_simulate(actions: Subparsers) -> None:
    parser = actions.add_parser("simulate", help="a track record of virtual patients, marked as simulated")
    parser.add_argument("--program", default="neutropenia", help="disease program")
    parser.add_argument("--patients", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7001)
    parser.add_argument("--out", type=Path, required=True)
    parser.set_defaults(run=_simulate)


@contextmanager
def _store(path: Path) -> Iterator[Store]:
    if not path.exists():
        raise AppError(f"there is no store {path}", reason="no_store")
    with closing(Store(path)) as store:
        yield store


def _bundle(store: Store, options: argparse.Namespace, program: Program) -> str:
    last = store.ledger.last(Entered.FORECAST)
    if options.bundle or last is None:
        return options.bundle or ""
    prefix = cover_of(program, "").text
    return last.subject.removeprefix(prefix)


def _records(options: argparse.Namespace) -> TrackRecord:
    program, now, found = load_program(options.program), system_clock(), None
    for path in options.store:
        with _store(path) as store:
            record = record_of(store, program, _bundle(store, options, program), now)
        found = record if found is None else _both(found, record)
    if found is None:
        raise AppError("no store", reason="no_store")
    return found


def _both(first: TrackRecord, second: TrackRecord) -> TrackRecord:
    try:
        return first.plus(second)
    except ValueError as error:
        raise AppError(str(error), reason="records_differ") from error


def _status(options: argparse.Namespace) -> int:
    record = _records(options)
    with _store(options.store[0]) as store:
        last, head, stage = store.ledger.last(Entered.STAGE), store.ledger.head(), stage_kept(store.ledger)
    following = tuple(Stage)[min(stage.rank + 1, len(Stage) - 1)]
    document = {
        "stage": stage,
        "why": last.says["why"] if last else "no_grant",
        "next_stage": following,
        "missing": missing(record, following, trust_rules()),
        "head": head.text,
        "evidence": record.form,
    }
    _print(document)
    return 0


def _evidence(options: argparse.Namespace) -> int:
    _print(_records(options).form)
    return 0


def _print(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _verify(options: argparse.Namespace) -> int:
    """Exit status 1 when a link does not hold."""
    with _store(options.store[0]) as store:
        found = verify(store.ledger.entries(), options.head)
    said = "all hold" if found.broken is None else f"entry {found.broken} does not hold: {found.why}"
    sys.stdout.write(f"{found.entries} entries hold; {said}\nhead {found.head.text}\n")
    return 0 if found.broken is None else 1


def _outcome(options: argparse.Namespace) -> int:
    name = options.by.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise AppError("an outcome needs the name of the clinician", reason="no_name")
    with _store(options.store[0]) as store, store.transaction():
        flags = (entry for entry in store.ledger.entries((Entered.FLAG,)) if entry.subject == str(options.number))
        flag = next(flags, None)
        if flag is None:
            raise AppError(f"the ledger holds no flag {options.number}", reason="not_found")
        says = {"verdict": options.verdict, "by": name}
        store.ledger.append(Entered.VERDICT, system_clock(), says, subject=flag.subject, refers=flag.number)
    sys.stdout.write(f"flag {options.number}: {options.verdict} by {name}\n")
    return 0


def _grant(options: argparse.Namespace) -> int:
    try:
        evidence = TrackRecord.read(json.loads(options.evidence.read_text(encoding="utf-8")))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise AppError(f"{options.evidence} is no track record: {error!r}", reason="malformed") from error
    key = SigningKey.load(options.key)
    now, signer = system_clock(), key.trusted
    what = (evidence.cover, options.site, options.stage, evidence)
    grant = TrustGrant(*what, key.name, signer.fingerprint, now, now + timedelta(days=options.days))
    options.out.write_bytes(signed_grant(grant, key))
    sys.stdout.write(f"{options.stage} for {evidence.cover.text} at {options.site}, signed by {key.name}\n")
    return 0


def _simulate(options: argparse.Namespace) -> int:
    from tqdm import tqdm  # noqa: PLC0415 - only when asked for

    from edge_twin_app.simulated_record import simulated_record  # noqa: PLC0415 - as above

    if options.patients < 1 or options.seed < 0:
        raise AppError("at least one patient and no negative seed", reason="bad_option")
    with tqdm(total=options.patients, file=sys.stderr, disable=None) as bar:
        record = simulated_record(options.program, options.patients, options.seed, bar.update)
    record = replace(record, heads=tuple(sorted(record.heads)))
    options.out.write_text(json.dumps(record.form, indent=1) + "\n", encoding="utf-8")
    return 0
