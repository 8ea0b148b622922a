"""Reproduce what concurrent imports do, one row at a time, on the interpreter that runs this package.

``python -m import_cases NAME`` runs a row with Python threads; an embedding program can run the same row with
threads of its own through :class:`import_cases.case_run.CaseRun`. ``python -m import_cases.probe`` does the same with
any modules: it traces what they request, and drives two threads into an interleaving. ``import_cases.watch`` reports
deadlocks in a program that is not directed. Expected outcomes are left to the outcome table and to the model.
"""
