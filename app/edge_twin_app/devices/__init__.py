"""What ``edge-twin devices`` does: look for sensors, pair with them, list and watch them, and say why not."""
