"""Notice deadlocks and standstills between imports in a user's own process, and tell them. No other import is made."""
