"""Runs of one subject on many machines, added up as if one machine had made them all."""
