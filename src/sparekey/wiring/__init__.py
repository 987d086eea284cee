"""The composition root: the only modules that know every adapter (ADR 1); they assemble and decide nothing."""
