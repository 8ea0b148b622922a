"""Find, prove and explain deadlocks between concurrent imports."""
