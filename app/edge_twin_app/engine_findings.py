"""What the doctor finds about bundles and engines: each runs its golden vectors, since an import proves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import NamedTuple

from edge_twin.bundle import Bundle, open_bundle
from edge_twin.errors import BundleError
from edge_twin.installed import InstalledModels
from edge_twin.self_test import check_engine
from edge_twin.signing import TrustedKeys
from edge_twin_app.models import installed_models, trusted_keys
from edge_twin_models import bundle_names, bundle_path

CPU = "CPUExecutionProvider"
PROBED = "neutropenia"  # whose graph a session is made of
ACCELERATORS = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
_PACKAGES = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "litert": ("ai-edge-litert", "tflite-runtime"),
    "numpy": ("numpy",),
}


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        name: what; works: whether it does; detail: version, or why not.
    """

    name: str
    works: bool
    detail: str


def bundle_findings() -> list[Finding]:
    """Every shipped and every installed bundle, each on every engine that it lists."""
    try:
        trusted = trusted_keys()
        models = installed_models(trusted=trusted)
    except BundleError as error:
        return [Finding("trust store", works=False, detail=_why(error))]
    found = [Finding("trust store", works=True, detail=f"{trusted.profile}: {_signers(trusted)}")]
    for name in bundle_names():
        found += _shipped(name, trusted)
    for name in models.names():
        found += _installed(name, models)
    return [*found, *_engines(found)]


def provider_findings() -> list[Finding]:
    """Execution providers of onnxruntime: what a session really uses, not what the build lists."""
    try:
        import onnxruntime  # noqa: PLC0415 - absent on 32-bit ARM

        from edge_twin.engines.onnxruntime_engine import OnnxRuntimeEngine  # noqa: PLC0415 - beside its library

        bundle = open_bundle(bundle_path(PROBED).read_bytes())
        used = OnnxRuntimeEngine(bundle).providers
    except (ImportError, OSError) as error:
        return [Finding(f"provider {CPU}", works=False, detail=f"library_missing: {error}")]
    except BundleError as error:
        return [Finding(f"provider {CPU}", works=False, detail=_why(error))]
    built = onnxruntime.get_available_providers()
    return [_provider(name, used, built) for name in dict.fromkeys((*used, *ACCELERATORS, *built))]


def _provider(name: str, used: tuple[str, ...], built: list[str]) -> Finding:
    if name in used:
        return Finding(f"provider {name}", works=True, detail=f"in use, place {used.index(name) + 1}")
    why = "in this build, but no session got it: driver or library missing, or kept out"
    return Finding(f"provider {name}", works=False, detail=why if name in built else "not in this build of onnxruntime")


def _shipped(name: str, trusted: TrustedKeys) -> list[Finding]:
    try:
        bundle = open_bundle(bundle_path(name).read_bytes(), trusted)
    except (BundleError, OSError) as error:
        return [Finding(f"bundle {name}", works=False, detail=_why(error))]
    return [Finding(f"bundle {name}", works=True, detail=_about(bundle)), *_on_engines(f"bundle {name}", bundle)]


def _installed(name: str, models: InstalledModels) -> list[Finding]:
    try:
        bundle, state = models.open(name), models.state(name)
    except BundleError as error:
        return [Finding(f"installed {name}", works=False, detail=_why(error))]
    trial = "on trial" if state.on_trial else "committed"
    about = f"{_about(bundle)}, {trial}, {state.starts} starts without health"
    return [Finding(f"installed {name}", works=True, detail=about), *_on_engines(f"installed {name}", bundle)]


def _on_engines(what: str, bundle: Bundle) -> Iterator[Finding]:
    for engine in bundle.engine_names:
        try:
            difference = check_engine(bundle, engine)
        except BundleError as error:
            yield Finding(f"{what} on {engine}", works=False, detail=_why(error))
        else:
            yield Finding(f"{what} on {engine}", works=True, detail=f"golden vectors within {difference:.1e}")


def _engines(found: list[Finding]) -> Iterator[Finding]:
    """Each engine by itself: it works when it answered right on every bundle that lists it."""
    for engine in _PACKAGES:
        tried = [finding for finding in found if finding.name.endswith(f" on {engine}")]
        refused = [f"{finding.name}: {finding.detail}" for finding in tried if not finding.works]
        detail = "; ".join(refused) or f"{_version(engine)}, right on {len(tried)} bundles"
        yield Finding(f"engine {engine}", works=bool(tried) and not refused, detail=detail)


def _about(bundle: Bundle) -> str:
    signer = bundle.signer.name if bundle.signer else "nobody"
    return f"version {bundle.version}, signed by {signer}, expires {bundle.expires:%Y-%m-%d}"


def _signers(trusted: TrustedKeys) -> str:
    return ", ".join(f"{key.name} ({key.fingerprint})" for key in trusted.keys)


def _version(engine: str) -> str:
    for package in _PACKAGES[engine]:
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    return "no package"


def _why(error: Exception) -> str:
    return f"{getattr(error, 'reason', type(error).__name__)}: {error}"
