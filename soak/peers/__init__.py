"""The same faults for csm-otel and for other telemetry daemons, side by side: ``make peers``.

In: programs (`Program`) and a scenario. Out: outcomes, with the spans sent, arrived and lost, and the loss that the
program reported itself.
"""
