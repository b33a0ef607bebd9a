"""The reduction methods by name, and the way from a teacher to a signed archive.

``mechanistic``: the teacher's own equations as a compact Scan graph, safe for stiff pharmacokinetics.
``course``: modes on the dose-aligned grid and a network, for courses of equal cycles.
``cycle``: a network from the state at the start of a cycle to its curve and end, for any schedule.
``field``: spatial modes and the projected equation, for the glioma field.
``distribution``: a network for the distribution of a count, for the stochastic clone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from edge_twin.bundle import open_bundle
from edge_twin.errors import BundleError
from edge_twin.release import signed_files
from edge_twin.self_test import self_test
from edge_twin.signing import DEVELOPMENT, SigningKey, TrustedKeys
from edge_twin_models import build_aml, build_neutropenia, development_key
from edge_twin_models.build_emulator import MomentEmulator
from edge_twin_models.build_field import PodGalerkin
from edge_twin_models.clone_teacher import ResistantClone
from edge_twin_models.cycle_method import CycleReduction
from edge_twin_models.distill import EventAlignedPod
from edge_twin_models.field_teacher import GliomaField
from edge_twin_models.teacher import TEACHERS, CytarabineLeukocytes, DocetaxelNeutropenia, ReductionMethod, Teacher


class MechanisticGraph:
    """Reduction method: the teacher's equations as an ONNX Scan graph with exact exposure in every step.

    There is nothing to train; what is measured is the step, against the teacher's adaptive solver.
    """

    name = "mechanistic"
    suffix = ""

    def reduce(self, teacher: Teacher) -> Mapping[str, bytes]:
        """See ``teacher.ReductionMethod``."""
        if teacher.name not in _MECHANISTIC:
            raise BundleError(f"no graph of {teacher.name}", reason="method_not_for_teacher")
        with TemporaryDirectory() as name:
            directory = Path(name)
            _MECHANISTIC[teacher.name](directory)
            return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


_MECHANISTIC: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    {DocetaxelNeutropenia.name: build_neutropenia.build, CytarabineLeukocytes.name: build_aml.build}
)
EXAMPLE_TEACHERS: Mapping[str, Callable[[], Teacher]] = MappingProxyType(
    {GliomaField.name: GliomaField, ResistantClone.name: ResistantClone}
)
"""Teachers of the building blocks that no program uses yet, each with a method of its own."""
EXAMPLE_METHODS: Mapping[str, Callable[[Executor | None], ReductionMethod]] = MappingProxyType(
    {
        PodGalerkin.name: lambda executor: PodGalerkin(executor=executor),
        MomentEmulator.name: lambda executor: MomentEmulator(executor=executor),
    }
)
"""Methods of those teachers: fields, and distributions of stochastic teachers."""
METHODS: Mapping[str, Callable[[Executor | None], ReductionMethod]] = MappingProxyType(
    {
        MechanisticGraph.name: lambda _executor: MechanisticGraph(),
        EventAlignedPod.name: lambda executor: EventAlignedPod(executor=executor),
        CycleReduction.name: CycleReduction,
    }
)
"""Reduction methods that ``edge-twin distill`` knows, by name."""


def named_teacher(name: str) -> Teacher:
    """A teacher.

    Raises:
        BundleError: ``teacher_unknown``.
    """
    known = {**TEACHERS, **EXAMPLE_TEACHERS}
    if name not in known:
        raise BundleError(f"no teacher {name!r}; known: {', '.join(known)}", reason="teacher_unknown")
    return known[name]()


def named_method(name: str, executor: Executor | None = None) -> ReductionMethod:
    """A reduction method.

    Args:
        name: see ``METHODS`` and ``EXAMPLE_METHODS``.
        executor: where the teacher runs; this process when None.

    Raises:
        BundleError: ``method_unknown``.
    """
    known = {**METHODS, **EXAMPLE_METHODS}
    if name not in known:
        raise BundleError(f"no method {name!r}; known: {', '.join(known)}", reason="method_unknown")
    return known[name](executor)


def distill(teacher: Teacher, method: ReductionMethod, archive: Path, key: SigningKey | None = None) -> Path:
    """Distil a teacher into a signed archive, opened and tested as a device would before it is written.

    Args:
        teacher: see ``teacher.TEACHERS``.
        method: see ``METHODS``.
        archive: file to write; its folder is made when absent.
        key: of the site; the DEVELOPMENT key when None.

    Raises:
        BundleError: ``method_not_for_teacher``; whatever signing, opening or self-test refuses. Then nothing is
            written.
    """
    key = key or development_key()
    content = signed_files(method.reduce(teacher), key)
    self_test(open_bundle(content, TrustedKeys(DEVELOPMENT, (key.trusted,))))
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(content)
    return archive
