"""The twin: observations, features, reduced models, forecast, flags. Runs on a phone with numpy alone."""
