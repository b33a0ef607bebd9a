"""Rule packs: thresholds that several programs share, as data (``edge-twin.rules/1``); no code."""
