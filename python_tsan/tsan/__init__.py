"""Read ThreadSanitizer's text: pure and streaming."""
