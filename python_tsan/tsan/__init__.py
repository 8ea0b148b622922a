"""Read what ThreadSanitizer prints, line by line as it comes. No I/O."""
