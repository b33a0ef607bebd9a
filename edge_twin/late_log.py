"""A logger that loads ``logging`` with its first warning: a third of a megabyte that a quiet twin never needs."""

from __future__ import annotations

import sys


class LateLogger:
    """Messages to the logger of that name.

    Args:
        name: of the module.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def info(self, message: str, *values: object) -> None:
        """See ``logging.Logger.info``; where nobody has loaded ``logging``, nobody can have asked for this level."""
        if logging := sys.modules.get("logging"):
            logging.getLogger(self._name).info(message, *values)

    def warning(self, message: str, *values: object) -> None:
        """See ``logging.Logger.warning``."""
        import logging  # noqa: PLC0415 - see the module

        logging.getLogger(self._name).warning(message, *values)
