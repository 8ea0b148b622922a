"""Build the C++ harness, and read its list of scenarios."""
