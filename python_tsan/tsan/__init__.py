"""Read ThreadSanitizer's text: pure, streaming, and dependent on the standard library alone."""
