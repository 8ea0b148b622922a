"""The verbs of the command line, one module each; :mod:`.main` chooses among them."""
