"""Own what runs inside the instrumented interpreter: the standard library and nothing else."""
