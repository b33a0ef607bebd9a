"""Which installed model covers a regimen; what none covers is refused by name, never approximated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from edge_twin.errors import ProgramError


class Covers(Protocol):
    """What choosing needs of a model; see ``contract.Model``."""

    @property
    def drugs(self) -> frozenset[str]:
        """Lower-case generic names of the drugs that it covers together."""


M = TypeVar("M", bound=Covers)


def first_covering(models: Sequence[M], drugs: frozenset[str]) -> M | None:
    """The first model, in order of preference, that knows every drug; None when none does."""
    return next((model for model in models if drugs <= model.drugs), None)


def uncovered(models: Sequence[M], drugs: frozenset[str]) -> tuple[str, ...]:
    """The drugs that stand in the way, sorted: those that the model which lacks fewest does not know."""
    lacking = sorted((drugs - model.drugs for model in models), key=len)
    return tuple(sorted(lacking[0] if lacking else drugs))


def covering(models: Sequence[M], regimen: str, drugs: frozenset[str]) -> M:
    """The first model, in order of preference, that knows every drug of the regimen.

    Raises:
        ProgramError: ``regimen_not_covered``, naming the regimen, its drugs and those that stand in the way.
    """
    model = first_covering(models, drugs)
    if model is None:
        lacking, names = ", ".join(uncovered(models, drugs)), " + ".join(sorted(drugs))
        raise ProgramError(
            f"no installed model covers {regimen} ({names}): {lacking} is not known", reason="regimen_not_covered"
        )
    return model
