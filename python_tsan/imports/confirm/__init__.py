"""Confirm predicted hazards: drive two real threads into each one and weigh what they met.

In: a ``Hazard`` and an interpreter. Out: a ``Proof``: confirmed k of n runs, refuted, or not reached.
"""
