"""Run ``on_terminal.py COMMAND [ARG...]`` as session leader with the terminal on stderr as its controlling terminal."""

import fcntl
import os
import sys
import termios

fcntl.ioctl(2, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
