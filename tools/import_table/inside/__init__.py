"""Hold the mitigations that a program may try without changing its modules; this runs inside a subject."""
