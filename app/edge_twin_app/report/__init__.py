"""The report of a run: ``summary.json``, pictures and an HTML page."""
