"""Hold what runs inside a subject: any CPython from 3.9 on, standard library only.

In: a command line or a plan as JSON from the process that started it, with this folder on ``sys.path``.
Out: lines of JSON, or a report on standard error. Nothing here imports the rest of the package; what a report means is
decided by the process that started it.
"""
