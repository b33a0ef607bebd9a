"""Detectors of illness onset compared on a daily table: protocol, peers, thresholds, bootstrap, output."""
