"""A program on a terminal, typed to and watched while it runs.

    chat = terminal.Terminal(self.argv("duplex", "chat", "--me", "alice"), self.env)
    self.addCleanup(chat.close)
    chat.type("hello\n")
    chat.until("}\n")
"""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time

import harness


class Terminal:
    """The terminal controls the program, so that ^C is a signal.  It echoes nothing and changes no newline."""

    def __init__(self, argv, env, stderr=None):
        """stderr: elsewhere than on the terminal."""
        self.master, self.slave = pty.openpty()
        settings = termios.tcgetattr(self.slave)
        settings[3] &= ~termios.ECHO
        settings[1] &= ~termios.OPOST
        termios.tcsetattr(self.slave, termios.TCSANOW, settings)
        self.settings = termios.tcgetattr(self.slave)
        self.popen = subprocess.Popen(argv, stdin=self.slave, stdout=self.slave,
                                      stderr=self.slave if stderr is None else stderr, env=env, start_new_session=True,
                                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.shown = ""

    def type(self, text):
        os.write(self.master, text.encode() if isinstance(text, str) else text)

    def _read(self, deadline):
        if not select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
            raise AssertionError("nothing comes; it showed %r" % self.shown)
        self.shown += os.read(self.master, 65536).decode()

    def until(self, text):
        """What it showed up to and with `text`; the next call begins behind it."""
        deadline = time.monotonic() + harness.LIMIT
        while text not in self.shown:
            self._read(deadline)
        end = self.shown.index(text) + len(text)
        seen, self.shown = self.shown[:end], self.shown[end:]
        return seen

    def wait(self):
        """The exit status; all that it showed is in self.shown."""
        rc = self.popen.wait(harness.LIMIT)
        while select.select([self.master], [], [], 0)[0]:
            self._read(time.monotonic() + harness.LIMIT)
        return rc

    def close(self):
        self.popen.kill()
        self.popen.wait()
        os.close(self.master)
        os.close(self.slave)
