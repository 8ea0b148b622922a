"""Model a program and CPython's import system: which module requests which, and which locks an import takes.

In: an interpreter, entry points, and the source of their modules as the target reads it.
Out: a ``Model``, on which threads can be stepped and stopped. Which schedules are tried is decided in ``search``.
"""
