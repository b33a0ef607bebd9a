"""The cycle operator as a reduction method: runs, training, calibration and certificate on whole roll-outs, export."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_twin.bundle import Bundle, load_bundle, open_bundle, prior_sample
from edge_twin.cycle import CYCLE_OPERATOR, CycleOperator
from edge_twin.cycle_weights import Weights
from edge_twin.engines.cycle_network import CANDIDATES
from edge_twin.errors import BundleError
from edge_twin.release import signed_files
from edge_twin_models import bundle_path, development_key
from edge_twin_models.card_cycle import card
from edge_twin_models.cycle_certify import RollOutErrors, half_width, roll_out_errors
from edge_twin_models.cycle_design import CYCLES
from edge_twin_models.cycle_export import litert_bytes, onnx_bytes
from edge_twin_models.cycle_recipes import RECIPES, CycleRecipe
from edge_twin_models.cycle_train import npz_bytes, train
from edge_twin_models.releasing import with_manifest
from edge_twin_models.teacher import Teacher

Floats = NDArray[np.float64]
Widths = list[list[float]]

TOLERANCE = 2e-4  # float32 through a chain of cycles, relative
GOLDEN_SEED, GOLDEN_MEMBERS, GOLDEN_DAYS = 1, 16, 99.0
NEIGHBOURS = 2  # numbers of cycles pooled on each side: roll-outs of one course are not independent


class CycleReduction:
    """Reduction method: a network from the state at the start of a cycle to its curve and its end.

    Args:
        executor: where the teacher runs; this process when None.
        weights: trained earlier by the same recipe; trained now when None.
    """

    name = "cycle"
    suffix = "-cycle"

    def __init__(self, executor: Executor | None = None, weights: bytes | None = None) -> None:
        self._executor, self._weights = executor, weights

    def reduce(self, teacher: Teacher) -> Mapping[str, bytes]:
        """See ``teacher.ReductionMethod``."""
        if teacher.name not in RECIPES:
            raise BundleError(f"no recipe for cycles of {teacher.name}", reason="method_not_for_teacher")
        recipe = RECIPES[teacher.name]
        weights = self._weights or npz_bytes(train(recipe.training, recipe.design, self._executor))
        files = partial(_files, f"{teacher.name}{self.suffix}", load_bundle(bundle_path(teacher.name)), recipe, weights)
        unfinished = files([[float(CYCLES), 1.0]], {}, _golden_bytes(recipe, *_NO_GOLDEN))
        draft = signed_files(unfinished, development_key())
        roll_outs = partial(_roll_outs, draft, teacher.name, self._executor)
        widths = _calibrated(roll_outs(recipe.calibration_courses, recipe.calibration_seed))
        certificate = _certificate(roll_outs(recipe.certificate_courses, recipe.certificate_seed), widths)
        return files(widths, certificate, _golden(open_bundle(draft), recipe))


def _calibrated(found: Sequence[RollOutErrors]) -> Widths:
    """[cycles, half-width] by split-conformal calibration on whole roll-outs of 1 to 12 cycles."""
    scores = [errors.score for errors in found]
    pooled = [np.concatenate(scores[max(0, index - NEIGHBOURS) : index + NEIGHBOURS + 1]) for index in range(CYCLES)]
    return [[float(index + 1), float(f"{half_width(some):.3g}")] for index, some in enumerate(pooled)]


def _certificate(found: Sequence[RollOutErrors], widths: Widths) -> dict[str, Any]:
    """Over all fresh roll-outs and per number of cycles."""
    inside = [errors.score <= width for errors, (_, width) in zip(found, widths, strict=True)]
    excess = np.concatenate([errors.nadir_excess.ravel() for errors in found])
    relative = np.concatenate([errors.nadir_relative.ravel() for errors in found])
    return {
        "roll_outs": int(sum(map(len, inside))),
        "coverage_95": round(float(np.concatenate(inside).mean()), 3),
        "nadir_p95_of_allowed": _two(float(np.quantile(excess, 0.95))),
        **_quantiles(relative),
        "handed_over_share": round(float(np.concatenate([errors.mechanistic for errors in found]).mean()), 3),
        "by_cycles": [_row(errors, covered) for errors, covered in zip(found, inside, strict=True)],
    }


def _roll_outs(draft: bytes, teacher: str, executor: Executor | None, courses: int, seed: int) -> list[RollOutErrors]:
    """Errors for 1 to 12 cycles, the longest first, so that workers end together; progress is shown."""
    work = [(draft, teacher, cycles, courses, seed) for cycles in range(CYCLES, 0, -1)]
    done = executor.map(_some_roll_outs, work) if executor else map(_some_roll_outs, work)
    return list(tqdm(done, desc="roll-outs", total=CYCLES, leave=False, disable=None))[::-1]


def _some_roll_outs(work: tuple[bytes, str, int, int, int]) -> RollOutErrors:
    """Of one number of cycles; a worker gets the archive, as an opened bundle cannot travel."""
    draft, teacher, cycles, courses, seed = work
    bundle = open_bundle(draft)
    return roll_out_errors(CycleOperator(bundle), bundle, cycles, courses, seed, courses=RECIPES[teacher].courses)


def _row(errors: RollOutErrors, covered: NDArray[np.bool_]) -> dict[str, Any]:
    return {
        "cycles": errors.cycles,
        "roll_outs": len(errors.score),
        "coverage": round(float(covered.mean()), 3),
        **_quantiles(errors.nadir_relative),
        "nadir_p95_of_allowed": _two(float(np.quantile(errors.nadir_excess, 0.95))),
    }


def _quantiles(relative: Floats) -> dict[str, float]:
    names = ("nadir_median", "nadir_p95", "nadir_p99", "nadir_max")
    return dict(zip(names, map(_two, np.quantile(relative, (0.5, 0.95, 0.99, 1.0)).tolist()), strict=True))


def _golden(bundle: Bundle, recipe: CycleRecipe) -> bytes:
    parameters = prior_sample(bundle, GOLDEN_MEMBERS, GOLDEN_SEED)
    times = np.arange(0.0, GOLDEN_DAYS, 1.5)
    answer = CycleOperator(bundle).roll_out(parameters, recipe.courses.administrations(recipe.golden_starts), times)
    return _golden_bytes(recipe, parameters, times, answer.counts)


def _golden_bytes(recipe: CycleRecipe, parameters: Floats, times: Floats, output: Floats) -> bytes:
    rounded = np.array([float(f"{value:.8g}") for value in output.ravel()]).reshape(output.shape)
    given = recipe.courses.administrations(recipe.golden_starts)
    doses = np.array([(dose.start_day, dose.amount_mg, dose.infusion_days) for dose in given])
    return npz_bytes({"log_parameters": parameters, "doses": doses, "times": times, "output": rounded})


_NO_GOLDEN = np.zeros((1, 4)), np.zeros(1), np.ones((1, 1))


def _files(  # noqa: PLR0913, PLR0917 - whose it is, how it was made, and what came out
    bundle_id: str,
    mechanistic: Bundle,
    recipe: CycleRecipe,
    weights: bytes,
    widths: Widths,
    certificate: Mapping[str, Any],
    golden: bytes,
) -> dict[str, bytes]:
    """All files; what the bundles of one teacher share is taken from the mechanistic one."""
    learned = Weights.from_npz(weights, recipe.design.layout)
    manifest = _manifest(bundle_id, mechanistic, recipe)
    manifest["cycle_operator"] |= {"learned_values": learned.learned_values, "log_half_width_by_cycles": widths}
    manifest["certificate"] = dict(certificate)
    files = {
        "card.md": card(manifest, recipe.texts, recipe.max_kill).encode(),
        "golden.npz": golden,
        "weights.npz": weights,
        "model.onnx": onnx_bytes(learned, bundle_id),
        "model.tflite": litert_bytes(learned),
    }
    return with_manifest(manifest, files)


def _manifest(bundle_id: str, mechanistic: Bundle, recipe: CycleRecipe) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(json.dumps(dict(mechanistic.manifest)))
    manifest |= {"id": bundle_id, "version": recipe.version, "title": recipe.title}
    for parameter in manifest["parameters"]:
        if parameter["name"] in recipe.design.box:
            parameter["low"], parameter["high"] = recipe.design.box[parameter["name"]]
    manifest["dose_envelope"] |= recipe.dose_envelope
    manifest["engine"] = {
        "kind": CYCLE_OPERATOR,
        "max_step_days": mechanistic.engine.max_step_days,
        "tolerance_relative": TOLERANCE,
        "golden": "golden.npz",
        "graph": "model.onnx",
    }
    manifest["engines"] = list(CANDIDATES)
    manifest["cycle_operator"] = {
        "equations": recipe.equations,
        **recipe.operator,
        "weights": "weights.npz",
        "litert": "model.tflite",
        "min_piece_days": recipe.piece_days[0],
        "max_piece_days": recipe.piece_days[1],
    }
    return manifest


def _two(value: float) -> float:
    """Two significant figures, upwards: a certificate may not promise more than was measured."""
    if value <= 0.0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.2g}")
