"""Tests of the binding libraries themselves under ThreadSanitizer."""
