"""The one document of a run, what it is judged by, and how runs are merged."""
