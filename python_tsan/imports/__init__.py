"""Find imports that deadlock, hang or hand out partially initialized modules when threads make them at once.

``model`` reads a program, ``search`` predicts hazards on the model, ``confirm`` drives real threads into them, and
``cases`` holds what runs inside the subject. ``scan`` and ``preimport`` put these together; ``watch`` runs a command
and reports its import deadlocks as they happen; ``outcomes`` says what each Python version does.
"""
