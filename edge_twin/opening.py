"""From a verified bundle to a model that the twin can run, whatever the bundle's kind."""

from __future__ import annotations

from edge_twin.bundle import Bundle
from edge_twin.contract import Model
from edge_twin.engines import select_engine
from edge_twin.engines.kinds import COURSE_NETWORK, CYCLE_OPERATOR
from edge_twin.errors import BundleError
from edge_twin.reduced_model import ReducedModel


def model_of(bundle: Bundle, engine: str | None = None, behind: Model | None = None) -> Model:
    """The model of a bundle on an engine that reproduces its golden vectors.

    Args:
        bundle: verified.
        engine: preferred; the fastest one that answers right when None.
        behind: the mechanistic model that answers where a learned course may not; only that kind needs one.

    Raises:
        BundleError: ``fallback_missing`` when ``behind`` is needed and None; ``fallback_other_model`` when it has other
            parameters; whatever the engines refuse.
    """
    if bundle.engine.kind == COURSE_NETWORK:
        return _surrogate(bundle, engine, behind)
    if bundle.engine.kind == CYCLE_OPERATOR:
        from edge_twin.cycle import CycleModel  # noqa: PLC0415 - each kind loads only what it needs

        return CycleModel(bundle, engine)
    return ReducedModel(bundle.described(), select_engine(bundle, prefer=engine))


def _surrogate(bundle: Bundle, engine: str | None, behind: Model | None) -> Model:
    from edge_twin.engines.course_network import select_course_engine  # noqa: PLC0415 - see model_of
    from edge_twin.student import load_student  # noqa: PLC0415
    from edge_twin.surrogate import SurrogateModel  # noqa: PLC0415

    if behind is None:
        message = f"{bundle.id} needs the mechanistic model that answers outside its envelope"
        raise BundleError(message, reason="fallback_missing")
    if behind.parameter_names != bundle.parameter_names:
        raise BundleError(f"{behind.id} has other parameters than {bundle.id}", reason="fallback_other_model")
    student = load_student(bundle)
    chosen = select_course_engine(bundle, student, engine).engine
    return SurrogateModel(bundle.described(), student, chosen, behind)
