"""Turn the findings of any project's logs into a report, and show it; running programs is left to others."""
