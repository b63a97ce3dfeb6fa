"""What Linux tells under /proc about sockets and processes; elsewhere nothing is known.

A process may end while it is looked at, or be somebody else's: what cannot be read is left out, and nothing raises.
"""
