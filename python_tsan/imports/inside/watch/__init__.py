"""Hold what is put first on ``PYTHONPATH`` of a watched program: its ``sitecustomize`` and the package it starts."""
