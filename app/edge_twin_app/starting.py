"""Which version of a reduced model a run uses: counted before it is loaded, healthy once it gave a forecast."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edge_twin.bundle import Bundle
from edge_twin.contract import TwinOutput
from edge_twin.errors import BundleError
from edge_twin.installed import InstalledModels

_LOG = logging.getLogger(__name__)


class ModelStart:
    """One start of a run.

    Args:
        name: of the bundle, as the program says.
        models: installed on this device.
        shipped: opens the bundle of the package, for a device on which none is installed.
        note: keeps one sentence, its first word machine-readable, where an auditor finds it.
    """

    def __init__(
        self, name: str, models: InstalledModels, shipped: Callable[[], Bundle], note: Callable[[str], None]
    ) -> None:
        self._name = name
        self._models = models
        self._shipped = shipped
        self._note = note
        self._counted = False
        self._reported = False

    def open(self) -> Bundle | None:
        """The installed version, else the shipped one; None when the installed one crashes and none may replace it.

        Without a model the run still looks at temperature, heart rate and counts, and says that it has no forecast.

        Raises:
            BundleError: as ``InstalledModels.start``, apart from ``crash_loop``; whatever ``shipped`` refuses.
        """
        if self._name not in self._models.names():
            return self._shipped()
        before = self._models.state(self._name).active
        try:
            bundle = self._models.start(self._name)
        except BundleError as error:
            if error.reason != "crash_loop":
                raise
            return self._without_fallback(before.version)
        self._counted = True
        if (bundle.version, bundle.digest) != (before.version, before.digest):
            self._tell(f"rolled_back {self._name} from version {before.version} to {bundle.version}")
        return bundle

    def stepped(self, output: TwinOutput) -> None:
        """Report a step that ended well: any one clears the count of starts, a forecast commits a trial."""
        forecast = output.forecast is not None
        if not self._counted or (self._reported and not forecast):
            return
        self._reported, self._counted = True, not forecast
        try:
            if self._models.healthy(self._name, used=forecast):
                self._note(f"committed {self._name} version {self._models.state(self._name).active.version}")
        except BundleError as error:
            _LOG.warning("health of %s could not be recorded: %s", self._name, error)

    def _without_fallback(self, version: int) -> Bundle | None:
        """The shipped bundle where no version was ever committed; else it may lie below the floor."""
        if self._models.state(self._name).floor is None:
            self._tell(f"crash_loop {self._name} version {version}: the shipped bundle takes over")
            return self._shipped()
        self._tell(f"crash_loop {self._name} version {version}: nothing to roll back to, no forecasts")
        return None

    def _tell(self, sentence: str) -> None:
        _LOG.error("%s", sentence)
        self._note(sentence)
