"""Code that runs inside a debugger's own Python: the standard library and the debugger's module only."""
