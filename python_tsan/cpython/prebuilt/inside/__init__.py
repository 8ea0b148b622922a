"""Scripts that run inside the instrumented interpreter: the standard library and nothing else."""
