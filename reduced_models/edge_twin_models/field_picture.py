"""A picture of the reduced field beside its teacher: ``python -m edge_twin_models.field_picture FILE.png``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import load_bundle
from edge_twin.engines.numpy_field import NumpyField
from edge_twin.field import FieldModel, Treatment, treatment_steps
from edge_twin_models import bundle_path
from edge_twin_models.build_field import BUNDLE_ID
from edge_twin_models.field_design import MAX_STEP_DAYS, REPORT_DAYS, field_sample, treatment
from edge_twin_models.field_teacher import TEMOZOLOMIDE_PK, GliomaField

Floats = NDArray[np.float64]

SEED = 77
SHOWN = (0, 4, 8, 12)  # of the report days
FINEST = 1e-9  # of the colour scale of the difference


def draw(path: Path) -> None:
    """One member of the box under radiotherapy without the drug: slices through the middle on four days."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - the demo extra, only for pictures

    teacher, model = GliomaField(), FieldModel(load_bundle(bundle_path(BUNDLE_ID)))
    sample = field_sample(teacher.domain, 1, SEED, quasi=False)
    given = Treatment(treatment(sample, 0).fractions)
    start, parameters = sample.initial, sample.log_parameters
    truth, answer = _both(teacher, model, start, parameters, given)
    figure, axes = plt.subplots(3, len(SHOWN), figsize=(9.0, 5.8), layout="constrained")
    level = teacher.domain.mask.shape[2] // 2
    for column, index in enumerate(SHOWN):
        pair = [teacher.domain.grid(fields[index])[:, :, level] for fields in (truth, answer)]
        _slices(axes[:, column], pair, teacher.domain.mask[:, :, level], f"day {REPORT_DAYS[index]:.0f}")
    for row, name in zip(axes[:, 0], ("teacher", "reduced field", "difference"), strict=True):
        row.set_ylabel(name)
    plan = f"30 × {sample.fraction_gy[0]:.1f} Gy from day {sample.first_day[0]:.0f}"
    sizes = f"{teacher.domain.voxels:,} voxels and {model.size} modes"
    figure.suptitle(f"Tumour cellularity in a synthetic brain, {plan}: {sizes}")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _both(
    teacher: GliomaField, model: FieldModel, start: Floats, parameters: Floats, given: Treatment
) -> tuple[Floats, Floats]:
    """[t, m] fields of teacher and reduced model."""
    steps, report = treatment_steps(TEMOZOLOMIDE_PK, REPORT_DAYS, given, MAX_STEP_DAYS)
    truth = teacher.fields(start, parameters, steps, report)[:, :, 0]
    coefficients = model.project(teacher.domain.grid(start[:, 0])).coefficients[None, :]
    run = model.run(NumpyField(model.operators), coefficients, parameters, REPORT_DAYS, given).checked()
    return truth, np.stack([model.field(state[0])[teacher.domain.mask] for state in run.coefficients])


def _slices(axes: Any, pair: list[Floats], mask: NDArray[np.bool_], title: str) -> None:  # noqa: ANN401 - matplotlib axes
    top = max(float(pair[0].max()), FINEST)
    difference = pair[1] - pair[0]
    limit = max(float(np.abs(difference).max()), FINEST)
    shown = ((pair[0], 0.0, top, "magma"), (pair[1], 0.0, top, "magma"), (difference, -limit, limit, "RdBu"))
    for axis, (values, low, high, colours) in zip(axes, shown, strict=True):
        image = axis.imshow(np.where(mask, values, np.nan).T, origin="lower", vmin=low, vmax=high, cmap=colours)
        axis.figure.colorbar(image, ax=axis, shrink=0.7, format="%.1g")
        axis.set_xticks([])
        axis.set_yticks([])
    axes[0].set_title(title)


def main() -> None:
    """Draw into the file given."""
    parser = argparse.ArgumentParser(description="Reduced field beside its teacher.")
    parser.add_argument("picture", type=Path)
    path: Path = parser.parse_args().picture
    draw(path)
    sys.stdout.write(f"picture written to {path}\n")


if __name__ == "__main__":
    main()
