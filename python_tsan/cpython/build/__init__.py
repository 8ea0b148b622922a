"""Build CPython under ThreadSanitizer, as its plan says; the door is :mod:`.interpreter`."""
