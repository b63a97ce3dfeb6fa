"""Long runs of the real program against external faults: ``make soak``.

Each scenario is a function of amount and duration that returns rows: the promise and the measurement.
`tests/faults` runs the same functions with small numbers.
"""
