"""Choosing an engine by what it can do: the first one that reproduces the golden vectors.

Some engines can run in more than one way (execution providers of onnxruntime, libraries of LiteRT). Every
way is asked on its own, so that an accelerator that computes something else costs speed and not the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from edge_twin.bundle import Bundle
from edge_twin.errors import BundleError
from edge_twin.late_log import LateLogger

_LOG = LateLogger(__name__)

NUMPY, ONNXRUNTIME, LITERT = "numpy", "onnxruntime", "litert"

Settings = tuple[str, ...]
"""How an engine is to run: execution providers, or the library; empty for its default."""

Chosen = TypeVar("Chosen")


class Choice(NamedTuple, Generic[Chosen]):
    """The engine that passed the golden vectors.

    Attributes:
        engine: the chosen one.
        refused: why each one tried before it was refused, by the label of its way; first word machine-readable.
    """

    engine: Chosen
    refused: Mapping[str, str]


class Way(NamedTuple):
    """One way to run an engine.

    Attributes:
        label: for reports; the engine's name, with what is special about the way.
        settings: for its constructor.
    """

    label: str
    settings: Settings


def ways(name: str) -> tuple[Way, ...]:
    """All ways to run the engine ``name`` on this device, the fastest first."""
    if name == ONNXRUNTIME:
        from edge_twin.engines.onnx_session import provider_orders  # noqa: PLC0415 - memory that numpy can do without

        *accelerated, processor = provider_orders()
        fast = (Way(f"{name} on {providers[0]}", providers) for providers in accelerated)
        return (*fast, Way(name, processor))
    if name == LITERT:
        from edge_twin.engines.litert_network import LIBRARIES  # noqa: PLC0415 - as above

        first, *others = LIBRARIES
        return (Way(name, (first,)), *(Way(f"{name} in {library}", (library,)) for library in others))
    return (Way(name, ()),)


def named(candidates: Mapping[str, Chosen], name: str) -> Chosen:
    """The candidate called ``name``.

    Raises:
        BundleError: ``engine_unknown`` when there is none.
    """
    if name not in candidates:
        raise BundleError(f"there is no engine {name!r}", reason="engine_unknown")
    return candidates[name]


def preferred_order(candidates: Mapping[str, object], prefer: str | None) -> tuple[str, ...]:
    """The names to try: the preferred one and then numpy, or all of them.

    Raises:
        BundleError: ``engine_unknown`` when the preferred one is not among them.
    """
    if prefer is None:
        return tuple(candidates)
    named(candidates, prefer)
    return tuple(dict.fromkeys((prefer, NUMPY)))


def first_right(
    names: Sequence[str], make: Callable[[str, Settings], Chosen], check: Callable[[Chosen], object], bundle: Bundle
) -> Choice[Chosen]:
    """The first engine that can be made and passes the check, and why the ones before it were refused.

    Args:
        names: of the engines, in order.
        make: name and settings of a way to the engine.
        check: raises when the engine does not reproduce the golden vectors.
        bundle: of the model; an engine that it does not list is not tried.

    Raises:
        BundleError: ``no_engine`` when all were refused; the message holds every reason.
    """
    refused: dict[str, str] = {}
    listed = [name for name in names if name in bundle.engine_names]
    refused |= {name: "not_listed: the bundle was not certified for it" for name in names if name not in listed}
    for name, way in ((candidate, way) for candidate in listed for way in ways(candidate)):
        try:
            engine = make(name, way.settings)
            check(engine)
        except BundleError as error:
            refused[way.label] = f"{error.reason}: {error}"
            _LOG.warning("engine %s refused for bundle %s: %s", way.label, bundle.id, refused[way.label])
        else:
            _LOG.info("bundle %s runs in %s", bundle.id, way.label)
            return Choice(engine, MappingProxyType(refused))
    raise BundleError("; ".join(f"{label}: {why}" for label, why in refused.items()), reason="no_engine")


def select(
    candidates: Mapping[str, Callable[..., Chosen]],
    prefer: str | None,
    check: Callable[[Chosen], object],
    bundle: Bundle,
    model: object,
) -> Choice[Chosen]:
    """The first of the candidates that passes the check, see ``preferred_order`` and ``first_right``.

    Args:
        candidates: makers by name, from bundle, model and settings.
        prefer: name of the one tried first.
        check: raises when the engine does not reproduce the golden vectors.
        bundle: verified.
        model: what the bundle describes, read.

    Raises:
        BundleError: ``engine_unknown``, ``no_engine``.
    """
    order = preferred_order(candidates, prefer)
    return first_right(order, lambda name, settings: candidates[name](bundle, model, settings), check, bundle)


def within_tolerance(difference: float, bundle: Bundle) -> float:
    """The difference from the golden vectors, once it is found small enough.

    Raises:
        BundleError: ``golden_mismatch`` when it exceeds the bundle's tolerance or is not a number.
    """
    if not difference <= bundle.engine.tolerance_relative:
        raise BundleError(f"differs from the golden vectors by {difference:.1e}", reason="golden_mismatch")
    return difference
