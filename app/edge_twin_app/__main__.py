"""``python -m edge_twin_app`` is ``edge-twin``."""

from edge_twin_app.cli import main

raise SystemExit(main())
