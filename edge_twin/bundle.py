"""Reduced-model bundles: a signed archive of data that cannot execute, described by ``manifest.json``.

The signature over the manifest's bytes is verified before they are parsed; every file is read once, its
SHA-256 compared with the manifest, and only those bytes are used after that. Nothing is unpickled or
extracted. What the manifest does not list may not be there. During a build a bundle is a directory.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.archive import MANIFEST, SIGNATURE, unpack
from edge_twin.bundle_files import archive_files, directory_files, read_file
from edge_twin.discrepancy import NO_DISCREPANCY, Discrepancy, read_discrepancy
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent, LinearPharmacokinetics
from edge_twin.manifest import Reader, release
from edge_twin.npz import read_arrays
from edge_twin.signing import BUNDLE_TYPE, DEVELOPMENT_TRUST, TrustedKey, TrustedKeys
from edge_twin.support import CLOCK_SLACK, SubcutaneousDrug, closest, densest, own_doses, read_further_drugs
from edge_twin.version import RUNTIME_VERSION

SCHEMA = "edge_twin.bundle/1"
MARKS = ("P", "C", "U", "A")
"""Published, computed, unverified, assumed: how far a parameter value may be trusted."""

WITHOUT_DRUG = frozenset({"distribution_emulator"})
"""Engine kinds whose model is given no doses: their manifest has no pharmacokinetics and no dose envelope."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A patient parameter with its population prior (log-normal).

    Attributes:
        name, unit: short name and UCUM unit.
        typical: population median.
        omega2: between-patient variance of the natural logarithm; 0 when none is known.
        low, high: validity envelope.
        mark: one of ``MARKS``; ``source``: where the value was read.
    """

    name: str
    unit: str
    typical: float
    omega2: float
    low: float
    high: float
    mark: str
    source: str


@dataclass(frozen=True, slots=True)
class FixedValue:
    """A value shared by all patients."""

    name: str
    unit: str
    value: float
    mark: str
    source: str


@dataclass(frozen=True, slots=True)
class Output:
    """One output series with its code and UCUM unit."""

    name: str
    system: str
    code: str
    unit: str


@dataclass(frozen=True, slots=True)
class DoseEnvelope:
    """The dosing for which the bundle was certified.

    Attributes:
        max_amount_mg: of one administration.
        max_infusion_days: length of one infusion.
        max_amount_21_days_mg: sum of the doses that start within any 21 days (the 22nd day is outside).
        min_interval_days: between the starts of two administrations.
        max_horizon_days: simulated time.
    """

    max_amount_mg: float
    max_infusion_days: float
    max_amount_21_days_mg: float
    min_interval_days: float
    max_horizon_days: float


NO_DRUG = LinearPharmacokinetics(np.array([[-1.0]]), 1.0, 1.0)
"""Stands where a model takes no drug; it never sees a dose, because ``NO_DOSE`` admits none."""
NO_DOSE = DoseEnvelope(0.0, 0.0, 0.0, math.inf, 0.0)


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """How the bundle is run.

    Attributes:
        kind: equations, e.g. ``friberg_transit``.
        max_step_days: longest certified step.
        tolerance_relative: largest difference from the golden outputs that an engine may show.
        graph: ONNX file of the same integrator, or None.
        golden: npz file with ``log_parameters`` [g, p], ``steps`` [k, columns of the kind] and ``output`` [k + 1, g].
    """

    kind: str
    max_step_days: float
    tolerance_relative: float
    graph: str | None
    golden: str


@dataclass(frozen=True, eq=False)
class Golden:
    """Inputs and expected outputs that every engine must reproduce before it is used."""

    log_parameters: Floats
    steps: Floats
    output: Floats


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified reduced model.

    Attributes:
        id, version: name and monotonic version.
        created, expires: aware UTC.
        parameters, fixed, outputs: see their types; the order of ``parameters`` is the order of all arrays.
        pharmacokinetics: drug model; ``drug``: its lower-case generic name.
        residual_log_sd: standard deviation of ln(measured) - ln(modelled).
        dose_envelope, engine: see their types; the envelope is that of ``drug``.
        card: model card, Markdown.
        files: verified bytes by name, without the manifest.
        manifest: the whole parsed manifest, for what later versions add.
        digest: SHA-256 of the manifest's bytes, which names this very content.
        signer: the key that signed it; None for an unsigned directory.
        further_drugs: what may be given beside ``drug``; see ``support``.
        discrepancy: of the next occasion; see ``discrepancy``.
    """

    id: str
    version: int
    created: datetime
    expires: datetime
    drug: str
    parameters: tuple[Parameter, ...]
    fixed: tuple[FixedValue, ...]
    outputs: tuple[Output, ...]
    pharmacokinetics: LinearPharmacokinetics
    residual_log_sd: float
    dose_envelope: DoseEnvelope
    engine: EngineSpec
    card: str
    files: Mapping[str, bytes]
    manifest: Mapping[str, Any]
    digest: str = ""
    signer: TrustedKey | None = None
    further_drugs: tuple[SubcutaneousDrug, ...] = ()
    discrepancy: Discrepancy = NO_DISCREPANCY

    @property
    def drugs(self) -> frozenset[str]:
        """Lower-case generic names of the drugs that the bundle covers together."""
        return frozenset((self.drug, *(further.name for further in self.further_drugs)))

    @property
    def engine_names(self) -> tuple[str, ...]:
        """Engines for which the bundle was certified, as the manifest lists them."""
        return Reader(self.manifest).texts("engines")

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def log_low(self) -> Floats:
        """[p] lower bounds of the log parameters."""
        return np.log([parameter.low for parameter in self.parameters])

    @property
    def log_high(self) -> Floats:
        """[p] upper bounds of the log parameters."""
        return np.log([parameter.high for parameter in self.parameters])

    def described(self) -> Bundle:
        """The same without the content of its files, for a model whose engine has been made: half its memory."""
        return replace(self, files=MappingProxyType({}))

    def golden(self) -> Golden:
        """The golden vectors.

        Raises:
            BundleError: ``malformed`` when the file does not hold the three arrays.
        """
        try:
            arrays = read_arrays(self.files[self.engine.golden])
            loaded = [np.asarray(arrays[name], np.float64) for name in ("log_parameters", "steps", "output")]
        except (KeyError, ValueError) as error:
            raise BundleError("the golden vectors cannot be read", reason="malformed") from error
        golden = Golden(*loaded)
        members = len(golden.log_parameters)
        # The engine checks the columns of a step: their number belongs to its kind.
        steps = (len(golden.steps), golden.steps.shape[-1])
        shapes = ((members, len(self.parameters)), steps, (len(golden.steps) + 1, members))
        if members == 0 or tuple(array.shape for array in loaded) != shapes:
            raise BundleError("the golden vectors do not fit the manifest", reason="malformed")
        return golden


def load_bundle(path: Path, trusted: TrustedKeys = DEVELOPMENT_TRUST, now: datetime | None = None) -> Bundle:
    """Read and verify a signed archive, or the directory of a build.

    Args:
        path: archive, or a directory, which is unsigned and therefore refused in the production profile.
        trusted: keys whose signature counts.
        now: see ``open_bundle``.

    Raises:
        BundleError: as ``open_bundle``; for a directory ``unsigned``; ``missing_file`` (also a missing path).
    """
    if not path.is_dir():
        return open_bundle(read_file(path.parent, path.name), trusted, now)
    if trusted.production:
        raise BundleError(f"{path.name} is an unsigned directory", reason="unsigned")
    manifest = read_file(path, MANIFEST)
    document = parse_manifest(manifest)
    return _checked(manifest, document, directory_files(path, document.mapping("files")), None, now)


def open_bundle(content: bytes, trusted: TrustedKeys = DEVELOPMENT_TRUST, now: datetime | None = None) -> Bundle:
    """Verify a signed archive in memory.

    Args:
        content: of the archive.
        trusted: keys whose signature counts.
        now: aware UTC; an expired bundle is refused. None opens it whatever its age: a bundle that is in use
            keeps running and its answers carry the refusal ``bundle_expired``.

    Raises:
        BundleError: the reasons of ``archive.unpack`` and of ``TrustedKeys.signer``; ``signature_missing``,
            ``missing_file``, ``unlisted_file``, ``hash_mismatch``, ``schema_unsupported``, ``malformed``,
            ``runtime_too_old``, ``bundle_expired``.
    """
    members = unpack(content)
    if MANIFEST not in members:
        raise BundleError(f"{MANIFEST} is missing from the bundle", reason="missing_file")
    if SIGNATURE not in members:
        raise BundleError("the bundle is not signed", reason="signature_missing")
    manifest = members[MANIFEST]
    signer = trusted.signer(BUNDLE_TYPE, manifest, members[SIGNATURE])
    document = parse_manifest(manifest)
    return _checked(manifest, document, archive_files(members, document.mapping("files")), signer, now)


def parse_manifest(content: bytes) -> Reader:
    """The manifest as a typed reader.

    Raises:
        BundleError: ``malformed`` when it is not a JSON object, ``schema_unsupported``.
    """
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{MANIFEST} is not JSON", reason="malformed") from error
    if not isinstance(parsed, dict):
        raise BundleError(f"{MANIFEST} is not an object", reason="malformed")
    if parsed.get("schema") != SCHEMA:
        raise BundleError(f"{MANIFEST} has an unknown schema", reason="schema_unsupported")
    return Reader(parsed)


def prior_sample(bundle: Bundle, members: int, seed: int) -> Floats:
    """Log parameters of a virtual population.

    Antithetic pairs: the second half mirrors the first, so that the sample mean of every parameter
    is its typical value exactly when ``members`` is even.

    Args:
        bundle: holds the prior.
        members: size of the population.
        seed: of the generator.

    Returns:
        [members, p].
    """
    generator = np.random.default_rng(seed)
    half = generator.standard_normal(((members + 1) // 2, len(bundle.parameters)))
    deviates = np.concatenate((half, -half))[:members]
    typical = np.log([parameter.typical for parameter in bundle.parameters])
    spread = np.sqrt([parameter.omega2 for parameter in bundle.parameters])
    return np.asarray(typical + spread * deviates)


def members_outside(bundle: Bundle, log_parameters: Floats) -> NDArray[np.bool_]:
    """[n] whether each member has a parameter outside the envelope (or one that is not a number)."""
    return np.asarray(~_inside_box(bundle, log_parameters).all(axis=1))


def outside_envelope(
    bundle: Bundle,
    log_parameters: Floats | None = None,
    doses: Sequence[DoseEvent] = (),
    horizon_days: float = 0.0,
) -> tuple[str, ...]:
    """What lies outside the validity envelope, as stable words; empty when nothing does.

    Words: ``parameter:<name>``, ``dose_amount``, ``infusion_length``, ``dose_interval``, ``dose_density``,
    ``horizon``; for a further drug the word ends in ``:<drug>``, and ``drug:<name>`` is one that is not covered.

    Args:
        bundle: holds the envelope.
        log_parameters: [n, p], any member counts.
        doses: in any order.
        horizon_days: simulated time.
    """
    found: list[str] = []
    if log_parameters is not None:
        columns = _inside_box(bundle, log_parameters).T
        found += [
            f"parameter:{n}" for n, inside in zip(bundle.parameter_names, columns, strict=True) if not inside.all()
        ]
    limits, own = bundle.dose_envelope, own_doses(bundle.drug, doses)
    checks = {
        "dose_amount": all(0.0 <= dose.amount_mg <= limits.max_amount_mg for dose in own),
        "infusion_length": all(0.0 <= dose.infusion_days <= limits.max_infusion_days for dose in own),
        "dose_interval": closest(own) >= limits.min_interval_days - CLOCK_SLACK,
        "dose_density": densest(own) <= limits.max_amount_21_days_mg,
        "horizon": horizon_days <= limits.max_horizon_days,
    }
    found += [word for word, ok in checks.items() if not ok]
    for further in bundle.further_drugs:
        found += further.outside([dose for dose in doses if dose.drug == further.name])
    return (*found, *(f"drug:{name}" for name in uncovered_drugs(bundle, doses)))


def uncovered_drugs(bundle: Bundle, doses: Sequence[DoseEvent]) -> tuple[str, ...]:
    """Drugs among ``doses`` that the bundle does not know, sorted."""
    return tuple(sorted({dose.drug for dose in doses} - bundle.drugs - {""}))


def _inside_box(bundle: Bundle, log_parameters: Floats) -> NDArray[np.bool_]:
    """[n, p]; a value that is not a number is not inside."""
    return np.asarray((log_parameters >= bundle.log_low) & (log_parameters <= bundle.log_high))


def _checked(
    manifest: bytes, document: Reader, files: Mapping[str, bytes], signer: TrustedKey | None, now: datetime | None
) -> Bundle:
    _refuse_older_runtime(document)
    try:
        bundle = _bundle(document, files)
    except BundleError as error:
        # One reason for whatever the manifest got wrong, also for values that other modules refuse.
        raise BundleError(f"{MANIFEST}: {error}", reason="malformed") from error
    if now is not None and now >= bundle.expires:
        raise BundleError(f"expired on {bundle.expires:%Y-%m-%d}", reason="bundle_expired")
    return replace(bundle, digest=hashlib.sha256(manifest).hexdigest(), signer=signer)


def _refuse_older_runtime(document: Reader) -> None:
    """The manifest of a newer runtime may mean things that this one does not know, so this is looked at first."""
    needed = document.release("min_runtime")
    if needed > release(RUNTIME_VERSION):
        raise BundleError(f"needs edge_twin {'.'.join(map(str, needed))}", reason="runtime_too_old")


def _bundle(document: Reader, files: Mapping[str, bytes]) -> Bundle:
    engine = _engine(document.child("engine"))
    needed = [engine.golden, document.text("card"), *([engine.graph] if engine.graph else [])]
    if absent := [name for name in needed if name not in files]:
        raise BundleError(f"{absent[0]} is used but not listed", reason="malformed")
    created, expires = document.time("created"), document.time("expires")
    if expires <= created:
        raise BundleError("expires before it was created", reason="malformed")
    no_drug = engine.kind in WITHOUT_DRUG
    return Bundle(
        id=document.text("id"),
        version=document.whole("version"),
        created=created,
        expires=expires,
        drug=document.text("drug"),
        parameters=_parameters(document),
        fixed=tuple(_fixed(item) for item in document.children("fixed")),
        outputs=tuple(_output(item) for item in document.children("outputs")),
        pharmacokinetics=NO_DRUG if no_drug else _pharmacokinetics(document.child("pharmacokinetics")),
        residual_log_sd=document.number("residual_log_sd", low=0.0),
        dose_envelope=NO_DOSE if no_drug else _dose_envelope(document.child("dose_envelope")),
        engine=engine,
        card=_card(files[document.text("card")]),
        files=files,
        further_drugs=read_further_drugs(document),
        discrepancy=read_discrepancy(document),
        manifest=MappingProxyType(_with_engines(document, engine)),
    )


def _with_engines(document: Reader, engine: EngineSpec) -> dict[str, Any]:
    """The manifest; without a list of engines, numpy and, where there is a graph, onnxruntime."""
    usual = ["onnxruntime", "numpy"] if engine.graph else ["numpy"]
    content = {"engines": usual, **document.content}
    Reader(content).texts("engines")
    return content


def _parameters(document: Reader) -> tuple[Parameter, ...]:
    parameters = tuple(_parameter(item) for item in document.children("parameters"))
    if not parameters or len({parameter.name for parameter in parameters}) != len(parameters):
        raise BundleError("parameters need distinct names", reason="malformed")
    return parameters


def _parameter(item: Reader) -> Parameter:
    prior = item.child("prior")
    prior.choice("kind", ("lognormal",))
    low = item.number("low", above=0.0)
    typical = prior.number("typical", low=low)
    return Parameter(
        name=item.text("name"),
        unit=item.text("unit"),
        typical=typical,
        omega2=prior.number("omega2", low=0.0),
        low=low,
        high=item.number("high", low=typical),
        mark=item.choice("mark", MARKS),
        source=item.text("source"),
    )


def _fixed(item: Reader) -> FixedValue:
    return FixedValue(
        item.text("name"),
        item.text("unit"),
        item.number("value"),
        item.choice("mark", MARKS),
        item.text("source"),
    )


def _output(item: Reader) -> Output:
    return Output(item.text("name"), item.text("system"), item.text("code"), item.text("unit"))


def _pharmacokinetics(item: Reader) -> LinearPharmacokinetics:
    matrix = np.array(item.matrix("rate_matrix_per_day"), dtype=np.float64)
    return LinearPharmacokinetics(matrix, item.number("volume_l"), item.number("molar_factor_mg_per_umol"))


def _dose_envelope(item: Reader) -> DoseEnvelope:
    return DoseEnvelope(
        max_amount_mg=item.number("max_amount_mg", low=0.0),
        max_infusion_days=item.number("max_infusion_days", low=0.0),
        max_amount_21_days_mg=item.number("max_amount_21_days_mg", low=0.0),
        min_interval_days=item.number("min_interval_days", low=0.0),
        max_horizon_days=item.number("max_horizon_days", low=0.0),
    )


def _engine(item: Reader) -> EngineSpec:
    return EngineSpec(
        kind=item.text("kind"),
        max_step_days=item.number("max_step_days", above=0.0),
        tolerance_relative=item.number("tolerance_relative", above=0.0),
        graph=item.text("graph") if "graph" in item.content else None,
        golden=item.text("golden"),
    )


def _card(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError("the model card is not UTF-8", reason="malformed") from error
