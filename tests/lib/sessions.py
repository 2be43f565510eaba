"""The processes of a session, which a test starts for each of its programs, and their end."""

import os
import signal


def processes_of(session):
    """The processes of a session, each as (pid, state)."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[3]) == session:
            yield int(pid), fields[0]


def has_home(pid, home):
    try:
        with open("/proc/%d/environ" % pid, "rb") as environment:
            return b"HOME=" + os.fsencode(home) in environment.read().split(b"\0")
    except OSError:
        return False  # it ended meanwhile


def end_session(leader, home):
    """
    Kills a program (a Popen with a session of its own) and what it has started.  Once the program is reaped, the number of
    its session may be that of another test's daemon: then only those count whose HOME is this, the directory of the test.
    """
    ended = leader.returncode is not None
    for pid, _ in processes_of(leader.pid):
        try:
            if not ended or has_home(pid, home):
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it ended meanwhile
