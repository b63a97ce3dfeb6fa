"""Run ``on_terminal.py COMMAND [ARG...]`` with the terminal on stderr as its own, as the leader of its session."""

import fcntl
import os
import sys
import termios

fcntl.ioctl(2, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
