"""``edge-twin models``: bundles on this device, and signing of a site's own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_twin.archive import MAX_ARCHIVE_BYTES
from edge_twin.bundle import Bundle, open_bundle
from edge_twin.errors import BundleError
from edge_twin.installed import InstalledModels, RollbackGrant
from edge_twin.release import SUFFIX, signed_archive
from edge_twin.self_test import self_test
from edge_twin.signing import SigningKey
from edge_twin_app.models import installed_models, trusted_keys
from edge_twin_models import bundle_names, bundle_path

if TYPE_CHECKING:
    from edge_twin_app.commands.types import Subparsers

Row = dict[str, Any]


def add_to(commands: Subparsers) -> None:
    """Declare the command and its own commands."""
    parser = commands.add_parser("models", help="signed reduced models: list, verify, install, roll back, sign")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _action(actions, "list", list_models, "shipped and installed versions")
    install = _action(actions, "install", install_file, "make an archive the active version, on trial")
    install.add_argument("file", type=Path)
    install.add_argument("--grant", type=Path, help="signed leave to install something older")
    for name, run, text in (
        ("verify", verify_model, "signature, hashes, expiry and golden vectors"),
        ("card", show_card, "the model card"),
    ):
        _action(actions, name, run, text).add_argument("model", help="installed or shipped name, or an archive's path")
    _action(actions, "rollback", roll_back, "go back to the version that was committed last").add_argument("name")
    grant = _action(actions, "grant", sign_grant, "signed leave for one device's step back below its floor")
    grant.add_argument("file", type=Path, help="archive that may be installed")
    grant.add_argument("--floor", type=int, required=True, help="version below which it lies (`list` shows it)")
    grant.add_argument("--key", type=Path, required=True, help="file made by `edge-twin models keygen`")
    grant.add_argument("--days", type=float, default=7.0, help="how long it holds, from now")
    grant.add_argument("--out", type=Path, help="file to write (FILE.grant unless given)")
    sign = _action(actions, "sign", sign_directory, "sign the directory of a build, our own or a third party's")
    sign.add_argument("directory", type=Path)
    sign.add_argument("--key", type=Path, required=True, help="file made by `edge-twin models keygen`")
    sign.add_argument("--out", type=Path, help=f"archive to write (DIRECTORY{SUFFIX} unless given)")
    keygen = _action(actions, "keygen", make_key, "a signing key for a site, readable by its owner only")
    keygen.add_argument("file", type=Path)
    keygen.add_argument("--name", required=True, help="of the site")


def list_models(options: argparse.Namespace) -> int:
    """One row for each shipped and each installed version."""
    models = installed_models(options.models, trusted_keys(options.trusted))
    shipped = [_tried(name, "shipped", partial(_shipped_row, name, options)) for name in bundle_names()]
    installed = [_tried(name, "installed", partial(_version_row, models, name)) for name in models.names()]
    return _show([*shipped, *installed], options)


def verify_model(options: argparse.Namespace) -> int:
    """Everything that an installation would check, expiry included."""
    origin, content = _found(options)
    bundle = installed_models(options.models, trusted_keys(options.trusted)).verify(content)
    engines = {result.engine: _measured(result.difference) for result in self_test(bundle)}
    return _show([{**_row(bundle, origin, len(content)), "engines": engines}], options)


def install_file(options: argparse.Namespace) -> int:
    """Install, or refuse and leave everything as it was."""
    models = installed_models(options.models, trusted_keys(options.trusted))
    grant = _content(options.grant, MAX_ARCHIVE_BYTES) if options.grant else None
    done = models.install(_content(options.file, MAX_ARCHIVE_BYTES), grant)
    engines = {result.engine: _measured(result.difference) for result in done.engines}
    row = _version_row(models, done.bundle.id)
    return _show([{**row, "changed": done.changed, "engines": engines}], options)


def roll_back(options: argparse.Namespace) -> int:
    """The version before takes over."""
    models = installed_models(options.models, trusted_keys(options.trusted))
    models.rollback(options.name)
    return _show([_version_row(models, options.name)], options)


def show_card(options: argparse.Namespace) -> int:
    """The card of an archive, of the installed version or of the shipped one."""
    origin, content = _found(options)
    bundle = open_bundle(content, trusted_keys(options.trusted))
    if options.json:
        return _show([{**_row(bundle, origin, len(content)), "card": bundle.card}], options)
    sys.stdout.write(bundle.card.rstrip("\n") + "\n")
    return 0


def sign_grant(options: argparse.Namespace) -> int:
    """Write a grant for this very archive; the device still verifies the archive itself."""
    key = SigningKey.load(options.key)
    bundle = open_bundle(_content(options.file, MAX_ARCHIVE_BYTES), trusted_keys(options.trusted))
    expires = datetime.now(UTC) + timedelta(days=options.days)
    grant = RollbackGrant(bundle.id, bundle.version, bundle.digest, options.floor, expires)
    if bundle.version >= options.floor:
        raise BundleError(f"version {bundle.version} is not below {options.floor}", reason="grant_pointless")
    path: Path = options.out or options.file.with_name(options.file.name + ".grant")
    _write(path, grant.signed(key))
    return _show([{"file": str(path), "name": bundle.id, "version": bundle.version, "floor": options.floor,
                   "expires": expires.isoformat(), "signer": key.name}], options)  # fmt: skip


def sign_directory(options: argparse.Namespace) -> int:
    """Write the signed archive beside the directory."""
    archive: Path = options.out or options.directory.with_name(options.directory.name + SUFFIX)
    content = signed_archive(options.directory, SigningKey.load(options.key))
    _write(archive, content)
    return _show([{"file": str(archive), "bytes": len(content)}], options)


def make_key(options: argparse.Namespace) -> int:
    """The private half goes to the file, the public half is printed for the devices' trust store."""
    key = SigningKey.generate(options.name)
    key.save(options.file)
    row = {"file": str(options.file), "name": key.name, "public": key.trusted.public.hex()}
    return _show([row], options)


def _action(actions: Subparsers, name: str, run: Callable[[argparse.Namespace], int], text: str) -> Any:  # noqa: ANN401 - argparse's parser
    parser = actions.add_parser(name, help=text)
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    parser.add_argument("--models", type=Path, help="folder of the installed models (EDGE_TWIN_MODELS)")
    parser.add_argument("--trusted", type=Path, help="trust store; the DEVELOPMENT key without it (EDGE_TWIN_TRUSTED)")
    parser.set_defaults(run=run)
    return parser


def _found(options: argparse.Namespace) -> tuple[str, bytes]:
    """Origin and bytes of the archive that was meant: a path that exists, else an installed, else a shipped name."""
    path, models = Path(options.model), installed_models(options.models, trusted_keys(options.trusted))
    if path.is_file() or path.suffix == SUFFIX:
        return "archive", _content(path, MAX_ARCHIVE_BYTES)
    if options.model in models.names():
        return "installed", models.archive(options.model)
    return "shipped", _content(bundle_path(options.model), MAX_ARCHIVE_BYTES)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise BundleError(f"{path} cannot be written", reason="not_writable") from error


def _content(path: Path, limit: int) -> bytes:
    """Bytes of a file; one byte over the limit is enough to refuse it."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise BundleError(f"{path} cannot be read", reason="unreadable_file") from error


def _tried(name: str, origin: str, make: Callable[[], Row]) -> Row:
    """A row, or the reason why there is none: one bad bundle does not hide the others."""
    try:
        return make()
    except BundleError as error:
        return {"name": name, "origin": origin, "status": "refused", "reason": error.reason}


def _shipped_row(name: str, options: argparse.Namespace) -> Row:
    content = _content(bundle_path(name), MAX_ARCHIVE_BYTES)
    return _row(open_bundle(content, trusted_keys(options.trusted)), "shipped", len(content))


def _version_row(models: InstalledModels, name: str) -> Row:
    """Of the active version, with what decides about the next one."""
    state, size = models.state(name), len(models.archive(name))
    row = _row(models.open(name), "installed", size)
    floor = {} if state.floor is None else {"floor": state.floor.version}
    status = "on_trial" if state.on_trial else "committed"
    return {**row, "status": status, **floor, "starts": state.starts, "quarantined": len(state.quarantined)}


def _row(bundle: Bundle, origin: str, size: int) -> Row:
    return {
        "name": bundle.id,
        "origin": origin,
        "version": bundle.version,
        "status": "verified",
        "expires": bundle.expires.isoformat(),
        "signer": bundle.signer.name if bundle.signer else "unsigned",
        "digest": bundle.digest,
        "engines": list(bundle.engine_names),
        "bytes": size,
    }


def _measured(difference: float | None) -> float | str:
    return "absent" if difference is None else float(f"{difference:.2g}")


def _show(rows: Sequence[Mapping[str, Any]], options: argparse.Namespace) -> int:
    if options.json:
        sys.stdout.write(json.dumps({"rows": rows}, indent=1) + "\n")
        return 0
    for row in rows:
        sys.stdout.write("  ".join(f"{key}={_shown(value)}" for key, value in row.items() if value != "") + "\n")
    return 0


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{key}:{item}" for key, item in value.items())
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
