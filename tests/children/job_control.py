"""Run ``job_control.py COMMAND [ARG...]`` as a shell runs a job in the foreground of the terminal on stderr.

Each time the job stops, "stopped SIGNAL" is printed, and a line on stdin continues it, as `fg` does. IO is then sent
to its first process: a wrapper forwards it once it accepts signals again. At its end its exit code is returned.
"""

import os
import signal
import sys

signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # to take the terminal back from the background
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, setpgroup=0, setsigdef=[signal.SIGTTOU])
os.tcsetpgrp(2, pid)
while os.WIFSTOPPED(status := os.waitpid(pid, os.WUNTRACED)[1]):
    os.tcsetpgrp(2, os.getpgrp())
    os.write(1, f"stopped {signal.Signals(os.WSTOPSIG(status)).name}\n".encode())
    os.read(0, 1)
    os.tcsetpgrp(2, pid)
    os.killpg(pid, signal.SIGCONT)
    os.kill(pid, signal.SIGIO)  # has a higher number than CONT, so it is accepted after it
sys.exit(os.waitstatus_to_exitcode(status))
