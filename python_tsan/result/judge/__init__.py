"""Turn observations, an expectation and what is known into a verdict with a reason in words. Pure.

Every process is read by the same two questions (:mod:`.process`): can anything be concluded from it, and did it fail by
itself. The kinds of subject differ in what that is compared with: :mod:`.check` takes findings one by one, exactly as
expected; :mod:`.program` takes any number of each, over all runs, with a baseline; :mod:`.logs` has no process. A
marked test is a program with an outcome of its own.
"""
