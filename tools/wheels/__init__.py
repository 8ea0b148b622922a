"""A survey of wheels with native code under ThreadSanitizer."""
