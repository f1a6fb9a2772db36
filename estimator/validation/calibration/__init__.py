"""Calibration as a reproducible act: the few physical constants of chip families, memories and stacks, fitted to measured rows."""

from estimator.validation.calibration.fitting import Calibration, calibrate

__all__ = ["Calibration", "calibrate"]
