"""Fixtures of reports on golden logs."""

from report_samples import everything, golden, nasty, one_race, report_of

__all__ = ["everything", "golden", "nasty", "one_race", "report_of"]
