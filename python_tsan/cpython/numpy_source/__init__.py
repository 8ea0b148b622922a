"""Own numpy built from its source under the sanitizer, in a copy of the interpreter that has a key of its own."""
