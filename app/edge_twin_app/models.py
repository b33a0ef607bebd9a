"""Finding a reduced model for a program: the shipped bundle, verified, on the best engine that answers right."""

from __future__ import annotations

from edge_twin.bundle import load_bundle
from edge_twin.engines import NUMPY, select_engine
from edge_twin.engines.course_network import select_course_engine
from edge_twin.reduced_model import ReducedModel
from edge_twin.student import load_student
from edge_twin.surrogate import SurrogateModel
from edge_twin_models import bundle_path

ENGINES = ("onnxruntime", "numpy")
COURSE_BUNDLE = "neutropenia-course"
MECHANISTIC_BUNDLE = "neutropenia"


def load_model(name: str, engine: str | None = None) -> ReducedModel:
    """The shipped bundle ``name``.

    Args:
        name: of the bundle, as a program names it.
        engine: preferred engine; the fastest one that reproduces the golden vector when None.

    Raises:
        BundleError: when the bundle is unknown or cannot be trusted.
    """
    bundle = load_bundle(bundle_path(name))
    return ReducedModel(bundle, select_engine(bundle, prefer=engine))


def load_surrogate(engine: str | None = None) -> SurrogateModel:
    """The shipped course student with the mechanistic model behind it.

    Args:
        engine: preferred engine of the student; the first that reproduces the golden vectors when None.

    Raises:
        BundleError: when one of the two bundles cannot be trusted.
    """
    bundle = load_bundle(bundle_path(COURSE_BUNDLE))
    student = load_student(bundle)
    chosen = select_course_engine(bundle, student, engine).engine
    return SurrogateModel(bundle, student, chosen, load_model(MECHANISTIC_BUNDLE, NUMPY if engine == NUMPY else None))
