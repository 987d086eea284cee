"""Use cases of people, programs and devices, one package per noun.

Each use case logs its event in the transaction of its effect. Nothing here reads a clock, a socket or a terminal.
"""
