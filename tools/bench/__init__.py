"""Measure this project's pipeline against the manual recipe that it replaces."""
