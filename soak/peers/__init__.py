"""The same troubles for csm-otel and for telemetry daemons of others, side by side: ``make peers``.

In go programs (`Program`) and a scenario, out come outcomes: what was sent, what arrived, what was lost, and how much
of that the program reported itself.
"""
