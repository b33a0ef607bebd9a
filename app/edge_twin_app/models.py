"""Finding a reduced model for a program: the shipped bundle, verified, on the best engine that answers right."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from edge_twin.bundle import Bundle, load_bundle
from edge_twin.contract import Model
from edge_twin.engines import NUMPY, select_engine
from edge_twin.engines.course_network import select_course_engine
from edge_twin.engines.kinds import COURSE_NETWORK
from edge_twin.errors import BundleError
from edge_twin.installed import InstalledModels
from edge_twin.opening import model_of
from edge_twin.program import Program
from edge_twin.reduced_model import ReducedModel
from edge_twin.signing import DEVELOPMENT_TRUST, TrustedKeys
from edge_twin.student import load_student
from edge_twin.surrogate import SurrogateModel
from edge_twin_models import bundle_path

_LOG = logging.getLogger(__name__)

ENGINES = ("onnxruntime", "numpy")
COURSE_BUNDLE = "neutropenia-course"
MECHANISTIC_BUNDLE = "neutropenia"
BEHIND = MappingProxyType({COURSE_BUNDLE: MECHANISTIC_BUNDLE, "aml-course": "aml"})
"""The mechanistic bundle of the same teacher that answers where a course student may not."""
MODELS_VARIABLE, TRUSTED_VARIABLE = "EDGE_TWIN_MODELS", "EDGE_TWIN_TRUSTED"


def load_model(name: str, engine: str | None = None, models: InstalledModels | None = None) -> ReducedModel:
    """The active version of the bundle ``name``: the installed one, else the shipped one.

    Args:
        name: of the bundle, as a program names it.
        engine: preferred engine; the fastest one that reproduces the golden vector when None.
        models: of the device; ``installed_models()`` when None.

    Raises:
        BundleError: when the bundle is unknown or cannot be trusted.
    """
    bundle = active_bundle(name, models)
    return ReducedModel(bundle, select_engine(bundle, prefer=engine))


def load_models(
    program: Program, engine: str | None = None, models: InstalledModels | None = None
) -> tuple[ReducedModel, ...]:
    """The active version of every bundle that a program names, in its order of preference.

    Args:
        program: names them.
        engine: see ``load_model``, like the rest.
        models: of the device; ``installed_models()`` when None.

    Raises:
        BundleError: when the program's own bundle is unknown or cannot be trusted. A further one is left out with an
            error in the log: a regimen that only it covers is then refused by name.
    """
    first, *others = program.bundles
    found = [load_model(first, engine, models)]
    for name in others:
        try:
            found.append(load_model(name, engine, models))
        except BundleError as error:
            _LOG.error("model %s is left out: %s", name, error)
    return tuple(found)


def active_bundle(name: str, models: InstalledModels | None = None, trusted: TrustedKeys | None = None) -> Bundle:
    """The installed version when there is one, else the shipped one; looking at it counts no start.

    Only ``edge-twin run`` decides on a trial: a rehearsal that somebody interrupts is no crash, and one that works does
    not commit a model for a patient.

    Args:
        name: of the bundle.
        models: of the device; ``installed_models()`` when None.
        trusted: whose signature counts; ``trusted_keys()`` when None.

    Raises:
        BundleError: ``bundle_unknown``, or why the version cannot be trusted; an installed one that is refused is never
            replaced in silence.
    """
    keys = trusted or trusted_keys()
    installed = models or installed_models(trusted=keys)
    return installed.open(name) if name in installed.names() else load_bundle(bundle_path(name), keys)


def load_surrogate(engine: str | None = None, name: str = COURSE_BUNDLE) -> SurrogateModel:
    """A course student with the mechanistic model behind it, each installed or shipped.

    Args:
        engine: preferred engine of the student; the first that reproduces the golden vectors when None.
        name: of the student's bundle, see ``BEHIND``.

    Raises:
        BundleError: when one of the two bundles cannot be trusted.
    """
    bundle = active_bundle(name)
    student = load_student(bundle)
    chosen = select_course_engine(bundle, student, engine).engine
    return SurrogateModel(bundle, student, chosen, load_model(BEHIND[name], NUMPY if engine == NUMPY else None))


def running_model(bundle: Bundle, engine: str | None, models: InstalledModels, trusted: TrustedKeys) -> Model:
    """The model of a bundle of any kind; one that needs a mechanistic model behind it gets the active one.

    Raises:
        BundleError: when an engine or a bundle is refused.
    """
    behind = None
    if bundle.engine.kind == COURSE_NETWORK:
        behind = model_of(active_bundle(BEHIND.get(bundle.id, MECHANISTIC_BUNDLE), models, trusted), engine)
    return model_of(bundle, engine, behind)


def trusted_keys(path: Path | None = None) -> TrustedKeys:
    """Keys of the file given, else of the file that ``EDGE_TWIN_TRUSTED`` names, else the DEVELOPMENT profile.

    Raises:
        BundleError: ``key_unreadable``, ``key_malformed``, ``development_key``.
    """
    named = path or _named(TRUSTED_VARIABLE)
    return TrustedKeys.load(named) if named else DEVELOPMENT_TRUST


def installed_models(
    root: Path | None = None, trusted: TrustedKeys | None = None, clock: Callable[[], datetime] | None = None
) -> InstalledModels:
    """The models of this device.

    Args:
        root: folder; else ``EDGE_TWIN_MODELS``, else ``~/.edge-twin/models``.
        trusted: see ``trusted_keys``, which is asked when None.
        clock: aware UTC; the system's when None.
    """
    folder = root or _named(MODELS_VARIABLE) or Path.home() / ".edge-twin" / "models"
    return InstalledModels(folder, trusted or trusted_keys(), clock or _system_clock)


def _named(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None


def _system_clock() -> datetime:
    return datetime.now(UTC)
