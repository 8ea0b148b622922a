"""Run subjects, hold what they show against what is expected, and give one verdict for each check."""
