"""The cycle operator: any schedule as a chain of cycles, each one pass through a small network.

(state at the start, parameters, dose) -> (curve of the counts, state at any later moment). Counts are in units
of the baseline; which equations, in which time, and which administrations make a cycle, says ``cycle_forms``.
An interval longer than a piece continues without a dose, so delays, omitted cycles and changed intervals are
exact schedules and are never rounded to a regular one.

Before every piece the inputs of each member are compared with those of the training: a box, and the
Mahalanobis distance. A member that leaves them once is computed from the beginning by the mechanistic
integrator, and the answer says for how many members and why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_twin.bundle import Bundle, outside_envelope, uncovered_drugs
from edge_twin.contract import Answer, log_sd_of
from edge_twin.cycle_curves import CycleCurves
from edge_twin.cycle_forms import cycle_starts, equations_of, form_of
from edge_twin.cycle_weights import Weights
from edge_twin.engines import kinds, simulate_reported
from edge_twin.engines.buffers import Buffers
from edge_twin.engines.cycle_network import CANDIDATES, CycleEngine
from edge_twin.engines.selection import NUMPY, Settings, first_right, named, preferred_order, within_tolerance
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent, exposure_grid
from edge_twin.manifest import Reader
from edge_twin.npz import read_arrays
from edge_twin.reduced_model import ReducedModel
from edge_twin.support import CLOCK_SLACK

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Mask = NDArray[np.bool_]

CYCLE_OPERATOR = kinds.CYCLE_OPERATOR
"""Engine kind in the manifest."""

LONGEST_COURSE = 12  # cycles; a longer course has the width of this one
RESOLUTION = 0.05  # 10*9/L; the certificate compares smaller counts with this one: no laboratory resolves them
GUARD_BOX = "state_box"
GUARD_DISTANCE = "state_distance"
PARAMETER_BOX = "parameter_box"
CYCLE_TEMPLATE = "cycle_template"
CYCLE_INTERVAL = "cycle_interval"


class Piece(NamedTuple):
    """One pass of the operator.

    Attributes:
        start_day: of the cycle, or of the continuation without a dose.
        days: until the next piece starts; infinite for the last.
        amount_mg, infusion_days: of each administration; 0 for a continuation.
    """

    start_day: float
    days: float
    amount_mg: float
    infusion_days: float


@dataclass(frozen=True, eq=False)
class RollOut:
    """Counts of an ensemble under one schedule, and who computed them.

    Attributes:
        counts: [t, n] 10*9/L.
        mechanistic: [n] members that the mechanistic integrator computed.
        handed_over: how many members each guard sent there; a schedule outside the envelope counts all of
            them under the word of ``outside_envelope``, ``cycle_template`` or ``cycle_interval``.
        log_half_width: half-width of the simultaneous 95 % band around the operator's curves, on the log
            scale, for as many cycles as the schedule has.
    """

    counts: Floats
    mechanistic: Mask
    handed_over: Mapping[str, int]
    log_half_width: float

    def band(self) -> tuple[Floats, Floats]:
        """(lower, upper), [t, n]: 95 % of the members' teacher curves lie inside at all times.

        Of operator against teacher, not of teacher against patient. Below ``RESOLUTION`` the band reaches
        down to 0. Members computed mechanistically have no width.
        """
        factor = np.where(self.mechanistic, 1.0, math.exp(self.log_half_width))
        shown = np.maximum(self.counts, np.where(self.mechanistic, 0.0, RESOLUTION))
        lower = shown / factor
        return np.where((lower > RESOLUTION) | self.mechanistic, lower, 0.0), shown * factor


class CycleOperator:
    """Rolls a schedule out over an ensemble.

    Args:
        bundle: verified, engine kind ``cycle_operator``.
        engine: name of the engine of its network, see ``cycle_network.CANDIDATES``; not yet checked.
        settings: how the engine is to run; its default when empty.

    Attributes:
        weights: see ``Weights``. form: see ``CycleForm``. engine: of the network. curves: see ``CycleCurves``.
        piece_days: shortest and longest piece.

    Raises:
        BundleError: ``engine_kind_unknown``, ``malformed``, ``engine_unknown``, or why the engine cannot run it.
    """

    name = CYCLE_OPERATOR

    def __init__(self, bundle: Bundle, engine: str = NUMPY, settings: Settings = ()) -> None:
        if bundle.engine.kind != CYCLE_OPERATOR:
            raise BundleError(f"{bundle.engine.kind} is no cycle operator", reason="engine_kind_unknown")
        spec = Reader(bundle.manifest).child("cycle_operator")
        self.form = form_of(bundle)
        try:
            self.weights = Weights.from_npz(bundle.files[spec.text("weights")], self.form.layout)
        except KeyError as error:
            raise BundleError("the weights are not in the bundle", reason="malformed") from error
        self.engine: CycleEngine = named(CANDIDATES, engine)(bundle, self.weights, settings)
        self.curves = CycleCurves(self.weights)
        self._precision = self.weights.precision.astype(np.float32)
        self._buffers = Buffers()
        self.piece_days = (spec.number("min_piece_days", above=0.0), spec.number("max_piece_days", above=0.0))
        self._half_widths = spec.matrix("log_half_width_by_cycles")
        self._bundle = bundle
        self._equations = equations_of(bundle)

    def roll_out(self, log_parameters: Floats, schedule: Sequence[DoseEvent], times: ArrayLike) -> RollOut:
        """Counts of every member, starting at steady state before the first dose.

        Args:
            log_parameters: [n, 4] natural logarithms in the bundle's order.
            schedule: doses in any order.
            times: [t] strictly increasing days on the axis of the doses.

        Raises:
            BundleError: ``engine_input`` for malformed arrays; see also ``exposure_grid``.
        """
        parameters, wanted = np.asarray(log_parameters, dtype=np.float64), np.asarray(times, dtype=np.float64)
        _check(parameters, wanted)
        doses = sorted((dose for dose in schedule if dose.amount_mg != 0.0), key=lambda dose: dose.start_day)
        words = outside_envelope(self._bundle, doses=doses, horizon_days=float(wanted[-1] - wanted[0]))
        starts = cycle_starts(doses, self.form.offsets_days)
        words = words or self._cycle_words(doses, starts)
        if words or starts is None:
            everyone = np.ones(len(parameters), dtype=np.bool_)
            counts = self._mechanistic(parameters, doses, wanted)
            return RollOut(counts, everyone, MappingProxyType(dict.fromkeys(words, len(parameters))), 0.0)
        counts, causes = self._chain(parameters, self.pieces(starts, float(wanted[-1])), wanted)
        planned = sum(dose.start_day <= wanted[-1] for dose in schedule)  # omitted cycles count
        width = self.log_half_width(math.ceil(planned / len(self.form.offsets_days)))
        return self._completed(parameters, doses, wanted, counts, causes, width)

    def _cycle_words(self, doses: Sequence[DoseEvent], starts: Sequence[DoseEvent] | None) -> tuple[str, ...]:
        """Why the doses are not cycles that the operator knows, as stable words."""
        if starts is None or not self.form.represents(doses):
            return (CYCLE_TEMPLATE,)
        gaps = (later.start_day - earlier.start_day for earlier, later in pairwise(starts))
        return () if all(gap >= self.piece_days[0] - CLOCK_SLACK for gap in gaps) else (CYCLE_INTERVAL,)

    def guarded(self, log_parameters: Floats, schedule: Sequence[DoseEvent], last_day: float) -> Mask:
        """[n] which members the guards would hand over under a schedule inside the envelope, up to ``last_day``."""
        doses = sorted((dose for dose in schedule if dose.amount_mg != 0.0), key=lambda dose: dose.start_day)
        starts = cycle_starts(doses, self.form.offsets_days)
        if starts is None:
            return np.ones(len(log_parameters), np.bool_)
        _, causes = self._chain(log_parameters, self.pieces(starts, last_day), np.array([last_day]))
        return np.asarray(np.logical_or.reduce(tuple(causes.values())))

    def pieces(self, doses: Sequence[DoseEvent], last_day: float) -> tuple[Piece, ...]:
        """The schedule as runs of the operator, up to ``last_day``; intervals too long for one are halved.

        Args:
            doses: the first one of each cycle, oldest first, inside the envelope.
            last_day: of the times asked for.
        """
        given = [dose for dose in doses if dose.start_day <= last_day]
        starts = [dose.start_day for dose in given]
        found: list[Piece] = []
        for dose, (begin, end) in zip(given, pairwise([*starts, last_day]), strict=True):
            count = max(1, math.ceil((end - begin) / self.piece_days[1] - 1e-9))
            edges = [begin + (end - begin) * part / count for part in range(count)]
            lengths = np.diff([*edges, end]).tolist()
            found.append(Piece(begin, lengths[0], dose.amount_mg, dose.infusion_days))
            found += [Piece(edge, days, 0.0, 0.0) for edge, days in zip(edges[1:], lengths[1:], strict=True)]
        return tuple(found)

    def log_half_width(self, cycles: int) -> float:
        """Half-width of the simultaneous 95 % band for so many cycles, log scale; the widest beyond 12."""
        widths = {int(count): width for count, width in self._half_widths}
        return widths.get(max(cycles, 1), max(widths.values()))

    def _chain(self, parameters: Floats, pieces: tuple[Piece, ...], wanted: Floats) -> tuple[Floats, dict[str, Mask]]:
        """Curves of all members, [t, n], and which member each guard stopped; those columns mean nothing."""
        counts = np.repeat(np.exp(parameters[None, :, 0]), len(wanted), axis=0)
        outside = (parameters < self._bundle.log_low) | (parameters > self._bundle.log_high)
        causes: dict[str, Mask] = {PARAMETER_BOX: np.asarray(outside.any(axis=1))}
        causes |= {word: np.zeros(len(parameters), dtype=np.bool_) for word in (GUARD_BOX, GUARD_DISTANCE)}
        per_day = self.form.per_day(parameters).astype(np.float32)
        states = self.weights.layout.pools + 1
        inputs: Singles = self._buffers.get("inputs", len(parameters), self.weights.mean.size)
        inputs[:, :states] = 0.0  # logarithms of the steady state
        for index, piece in enumerate(pieces):
            inputs[:, states:] = self.form.treatment(parameters, piece.amount_mg, piece.infusion_days)
            self._guard(inputs, causes)
            coefficients = self.engine.coefficients(self._standardised(inputs))
            rows = slice(*np.searchsorted(wanted, (piece.start_day, piece.start_day + piece.days)))
            if index == len(pieces) - 1:
                rows = slice(rows.start, len(wanted))
            days = (wanted[rows, None] - piece.start_day).astype(np.float32)
            scaled = np.multiply(days, per_day, out=self._buffers.get("scaled", len(days), len(per_day)))
            relative = self.curves.log_counts(coefficients, scaled)
            counts[rows] *= np.exp(relative, out=relative)
            inputs[:, :states] = self.curves.log_states(coefficients, per_day * np.float32(piece.days))
        return counts, causes

    def _standardised(self, inputs: Singles) -> Singles:
        scaled: Singles = self._buffers.get("standardised", *inputs.shape)
        np.subtract(inputs, self.weights.mean, out=scaled)
        scaled /= self.weights.scale
        return scaled

    def _guard(self, inputs: Singles, causes: dict[str, Mask]) -> None:
        weights = self.weights
        causes[GUARD_BOX] |= ~((inputs >= weights.low) & (inputs <= weights.high)).all(axis=1)
        away = np.subtract(inputs, weights.mean, out=self._buffers.get("away", *inputs.shape))
        weighted = np.matmul(away, self._precision, out=self._buffers.get("weighted", *inputs.shape))
        distance = np.einsum("ni,ni->n", weighted, away)
        causes[GUARD_DISTANCE] |= ~(distance <= weights.max_distance)

    def _completed(  # noqa: PLR0913, PLR0917 - what was asked, what came out, and how sure it is
        self,
        parameters: Floats,
        doses: Sequence[DoseEvent],
        wanted: Floats,
        counts: Floats,
        causes: dict[str, Mask],
        width: float,
    ) -> RollOut:
        """Columns that a guard stopped replaced by the mechanistic integrator's."""
        outside = np.logical_or.reduce(tuple(causes.values()))
        if outside.any():
            counts[:, outside] = self._mechanistic(parameters[outside], doses, wanted)
        handed = {word: int(mask.sum()) for word, mask in causes.items() if mask.any()}
        return RollOut(counts, outside, MappingProxyType(handed), width)

    def _mechanistic(self, parameters: Floats, doses: Sequence[DoseEvent], wanted: Floats) -> Floats:
        step = self._bundle.engine.max_step_days
        grid = exposure_grid(self._bundle.pharmacokinetics, doses, wanted, max_step_days=step)
        steps, integrator = self._equations.steps(self._bundle, grid), self._equations.numpy_engine(self._bundle)
        return simulate_reported(integrator, parameters, steps, grid.report)


class CycleModel(ReducedModel):
    """The operator where the twin and the rehearsal expect a reduced model.

    Args:
        bundle: verified, engine kind ``cycle_operator``.
        prefer: engine to try first; see ``select_cycle_operator``.

    Attributes:
        operator: on the engine that reproduced the golden vectors.
        refused: why engines tried before it were refused.

    Raises:
        BundleError: as ``select_cycle_operator``.
    """

    def __init__(self, bundle: Bundle, prefer: str | None = None) -> None:
        self.operator, self.refused = select_cycle_operator(bundle, prefer)
        super().__init__(bundle, equations_of(bundle).numpy_engine(bundle))

    @property
    def engine_name(self) -> str:
        """The engine that runs the network; what was handed over is in ``roll_out``."""
        return self.operator.engine.name

    @property
    def _equations(self) -> kinds.EngineKind:
        return equations_of(self.bundle)

    @property
    def surrogate_log_sd(self) -> float:
        """Standard deviation of ln(operator) - ln(teacher) in the longest certified course."""
        return log_sd_of(self.operator.log_half_width(LONGEST_COURSE))

    def answer(self, log_parameters: Floats, doses: Sequence[DoseEvent], times_days: Floats) -> Answer:
        """See ``ReducedModel.answer``; members that a guard stopped are named by its word."""
        if unknown := uncovered_drugs(self.bundle, doses):
            raise BundleError(f"{self.bundle.id} does not cover {', '.join(unknown)}", reason="drug_not_covered")
        found = self.operator.roll_out(log_parameters, doses, times_days)
        if not bool(np.isfinite(found.counts).all()):
            raise BundleError("the model left its numerical range", reason="output_not_finite")
        engines = ((self.engine_name, ~found.mechanistic), (f"mechanistic ({self.engine.name})", found.mechanistic))
        names = tuple(name for name, members in engines if members.any())
        width = 0.0 if found.mechanistic.all() else found.log_half_width
        return Answer(found.counts, ~found.mechanistic, tuple(found.handed_over), names, width)

    def simulate(self, log_parameters: Floats, doses: Sequence[DoseEvent], times_days: Floats) -> Floats:
        """See ``ReducedModel.simulate``."""
        return self.answer(log_parameters, doses, times_days).counts


class CycleChoice(NamedTuple):
    """The operator on the engine that passed the golden vectors, and why others were refused (by name)."""

    operator: CycleOperator
    refused: Mapping[str, str]


def select_cycle_operator(bundle: Bundle, prefer: str | None = None) -> CycleChoice:
    """The operator on the first engine that reproduces the golden vectors.

    Args:
        bundle: verified, engine kind ``cycle_operator``.
        prefer: tried first and then numpy; otherwise onnxruntime, LiteRT, numpy.

    Raises:
        BundleError: ``engine_unknown``, ``no_engine``.
    """
    operator, refused = first_right(
        preferred_order(CANDIDATES, prefer),
        lambda name, settings: CycleOperator(bundle, name, settings),
        lambda operator: check_golden(operator, bundle),
        bundle,
    )
    return CycleChoice(operator, refused)


def check_golden(operator: CycleOperator, bundle: Bundle) -> float:
    """Largest relative difference between the operator's counts and the golden ones.

    The golden file holds ``log_parameters`` [g, 4], ``doses`` [d, 3] (day, mg, infusion in days), ``times``
    [t] and ``output`` [t, g].

    Raises:
        BundleError: ``malformed`` or ``golden_mismatch``.
    """
    try:
        arrays = read_arrays(bundle.files[bundle.engine.golden])
        parameters, doses, times, output = (
            np.asarray(arrays[name], np.float64) for name in ("log_parameters", "doses", "times", "output")
        )
        schedule = [DoseEvent(*row) for row in doses.tolist()]
    except (KeyError, ValueError, TypeError) as error:
        raise BundleError("the golden vectors cannot be read", reason="malformed") from error
    computed = operator.roll_out(parameters, schedule, times).counts
    if computed.shape != output.shape or computed.size == 0:
        raise BundleError("the golden vectors have another shape", reason="golden_mismatch")
    difference = float(np.max(np.abs(computed / output - 1.0)))
    return within_tolerance(difference, bundle)


def _check(parameters: Floats, wanted: Floats) -> None:
    shaped = parameters.ndim == 2 and parameters.shape[1] == 4 and wanted.ndim == 1 and wanted.size > 0  # noqa: PLR2004 - [n, 4], [t]
    if not (shaped and bool(np.isfinite(parameters).all()) and bool(np.isfinite(wanted).all())):
        raise BundleError("log parameters [n, 4] and times [t] must be finite", reason="engine_input")
    if bool((np.diff(wanted) <= 0.0).any()):
        raise BundleError("requested times must increase", reason="times_unsorted")
