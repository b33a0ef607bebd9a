"""The front doors, and the only room that wires the others together: command line, demonstration, report."""
