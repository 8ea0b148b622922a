"""Save runs, and show them: every rendering is made from a run alone, so it can be made again later."""
