"""``edge-twin models``: bundles on this device, and signing of a site's own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_twin.archive import MAX_ARCHIVE_BYTES
from edge_twin.bundle import Bundle, load_bundle
from edge_twin.errors import BundleError
from edge_twin.installed import InstalledModels
from edge_twin.release import SUFFIX, signed_archive
from edge_twin.self_test import self_test
from edge_twin.signing import SigningKey
from edge_twin.slots import State
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
    verify = _action(actions, "verify", verify_file, "signature, hashes, expiry and golden vectors of an archive")
    install = _action(actions, "install", install_file, "make an archive the active version, on trial")
    install.add_argument("--grant", type=Path, help="signed leave to install something older")
    for action in (verify, install):
        action.add_argument("file", type=Path)
    for name, run, text in (
        ("rollback", roll_back, "go back to the version that was committed last"),
        ("card", show_card, "the model card"),
    ):
        _action(actions, name, run, text).add_argument("name")
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


def verify_file(options: argparse.Namespace) -> int:
    """Everything that an installation would check."""
    models = installed_models(options.models, trusted_keys(options.trusted))
    bundle = models.verify(_content(options.file, MAX_ARCHIVE_BYTES))
    engines = {result.engine: _measured(result.difference) for result in self_test(bundle)}
    return _show([{**_row(bundle, "archive"), "engines": engines}], options)


def install_file(options: argparse.Namespace) -> int:
    """Install, or refuse and leave everything as it was."""
    models = installed_models(options.models, trusted_keys(options.trusted))
    grant = _content(options.grant, MAX_ARCHIVE_BYTES) if options.grant else None
    done = models.install(_content(options.file, MAX_ARCHIVE_BYTES), grant)
    engines = {result.engine: _measured(result.difference) for result in done.engines}
    row = _installed_row(done.bundle, models.state(done.bundle.id))
    return _show([{**row, "changed": done.changed, "engines": engines}], options)


def roll_back(options: argparse.Namespace) -> int:
    """The version before takes over."""
    models = installed_models(options.models, trusted_keys(options.trusted))
    models.rollback(options.name)
    return _show([_installed_row(models.open(options.name), models.state(options.name))], options)


def show_card(options: argparse.Namespace) -> int:
    """The card of the installed version, else of the shipped one."""
    models = installed_models(options.models, trusted_keys(options.trusted))
    installed = options.name in models.names()
    bundle = (
        models.open(options.name)
        if installed
        else load_bundle(bundle_path(options.name), trusted_keys(options.trusted))
    )
    if options.json:
        return _show([{**_row(bundle, "installed" if installed else "shipped"), "card": bundle.card}], options)
    sys.stdout.write(bundle.card.rstrip("\n") + "\n")
    return 0


def sign_directory(options: argparse.Namespace) -> int:
    """Write the signed archive beside the directory."""
    archive: Path = options.out or options.directory.with_name(options.directory.name + SUFFIX)
    content = signed_archive(options.directory, SigningKey.load(options.key))
    try:
        archive.write_bytes(content)
    except OSError as error:
        raise BundleError(f"{archive} cannot be written", reason="not_writable") from error
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
    return _row(load_bundle(bundle_path(name), trusted_keys(options.trusted)), "shipped")


def _version_row(models: InstalledModels, name: str) -> Row:
    return _installed_row(models.open(name), models.state(name))


def _installed_row(bundle: Bundle, state: State) -> Row:
    return {**_row(bundle, "installed"), "status": "on_trial" if state.on_trial else "committed"}


def _row(bundle: Bundle, origin: str) -> Row:
    return {
        "name": bundle.id,
        "origin": origin,
        "version": bundle.version,
        "status": "verified",
        "expires": bundle.expires.isoformat(),
        "signer": bundle.signer.name if bundle.signer else "unsigned",
        "digest": bundle.digest,
        "engines": list(bundle.engine_names),
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
