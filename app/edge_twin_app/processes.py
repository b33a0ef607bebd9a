"""Starting a process of ours and waiting until it says that it is ready."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from edge_twin_app.errors import AppError


def first_line(process: subprocess.Popen[str], who: str) -> dict[str, Any]:
    """The JSON object that the process prints when it is ready.

    Raises:
        AppError: ``not_started`` when it ends or says something else first.
    """
    line = process.stdout.readline() if process.stdout else ""
    try:
        said = json.loads(line)
    except ValueError as error:
        raise AppError(f"the {who} did not start", reason="not_started") from error
    return dict(said)
