"""Write docs/why-the-gil-is-released.md from a trace of the original program."""
