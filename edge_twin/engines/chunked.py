"""Networks that see some members at a time: the hidden layers of more would leave the processor's cache."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge_twin.engines.buffers import Buffers

Singles = NDArray[np.float32]

CHUNK = 1000


class Chunked:
    """Calls a network with at most ``CHUNK`` members at a time and joins the answers.

    Args:
        size: outputs of a member.
        run: from inputs [c, i] into outputs [c, size], both contiguous.
    """

    def __init__(self, size: int, run: Callable[[Singles, Singles], None]) -> None:
        self._size, self._run = size, run
        self._joined = Buffers()

    def joined(self, inputs: Singles) -> Singles:
        """[n, size] for inputs [n, i]; a buffer, valid until the next call.

        Raises:
            BundleError: ``engine_failed``.
        """
        result: Singles = self._joined.get("result", len(inputs), self._size)
        rows = np.ascontiguousarray(inputs, np.float32)
        for first in range(0, len(rows), CHUNK):
            self._run(rows[first : first + CHUNK], result[first : first + CHUNK])
        return result
