"""Names that are asked for without making the features behind them; a phone then loads no code for these."""

from __future__ import annotations

from datetime import timedelta

from edge_twin import codes

NIGHT_HEART_RATE = "resting_heart_rate_night"
WINDOW_HEART_RATE = "heart_rate_window"
WINDOW_RMSSD = "rmssd_window"

HEART_CODES = frozenset((codes.RR_INTERVAL, codes.HEART_RATE, codes.STEPS, codes.MOTION_RESPIRATION))
"""What a day of the heart listens to."""

WEIGHT_READING, HEIGHT = "weight_reading_day", "body_height_day"
WALKING, MID_SLEEP = "walking_cadence_day", "mid_sleep_day"
SKIN_NIGHTS = tuple(f"{site}_temperature_night" for site in ("skin", "finger", "toe"))

TREND_INPUTS = (WEIGHT_READING, HEIGHT, WALKING, MID_SLEEP, *SKIN_NIGHTS)
"""Names of the day-level features that trends look back on."""

LOOK_BACK = timedelta(days=400)
"""How far back the inputs of trends are needed: the older weight, and the weights that accept it."""
