"""Long runs of the real program against what goes wrong outside it: ``make soak``.

Each scenario is a function that takes how much and how long, and returns rows: what was promised, what was measured.
`tests/faults` runs the same functions with small numbers.
"""
