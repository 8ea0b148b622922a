"""Run subjects (programs under test), compare what they show with what is expected, give a verdict for each check."""
