"""Read raw evidence of any kind, and turn it into findings."""
