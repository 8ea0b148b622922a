"""Run the mistakes of ``native/contract/cases.cpp`` and what is right instead, and write what was found as a page."""
