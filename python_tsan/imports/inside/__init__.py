"""Hold what runs inside a subject: any interpreter from 3.9 on, standard library only, this folder on ``sys.path``.

Nothing here imports the rest of the package; judging what these modules print is left to the side that started them.
"""
