"""Building the C++ harness, and what it says of its scenarios."""
