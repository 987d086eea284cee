"""Policies of each kind: fields, ranges, defaults and merge rules."""
