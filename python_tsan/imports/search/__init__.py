"""Predict hazards: try the schedules of two threads on a model, and choose the imports that remove what is found.

In: a ``Model`` and its entry points. Out: ``Hazard`` objects, and lists of modules to import first. Pure, no I/O.
"""
