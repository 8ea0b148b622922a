"""One of the scenarios that a harness lists."""


def find_scenario(scenarios, name):
    """Return the scenario called ``name``."""
    return next(each for each in scenarios if each.name == name)
