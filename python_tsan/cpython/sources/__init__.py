"""Get CPython source: what the user names, the cache, python.org, a git tag, the distribution."""
