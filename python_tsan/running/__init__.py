"""Run the user's own program under ThreadSanitizer and say what it showed, and what it could not show."""
