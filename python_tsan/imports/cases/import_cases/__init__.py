"""Reproduce what concurrent imports do, one row at a time, on whatever interpreter runs this package.

``python -m import_cases NAME`` plays a row with Python threads; an embedding program can play the same row with
threads of its own through :class:`import_cases.stage.CaseRun`. ``python -m import_cases.probe`` does the same with any
modules: it traces what they ask for, and drives two threads into an interleaving. What ought to happen is left to the
outcome table and to the model of the side that asks.
"""
