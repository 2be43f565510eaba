"""What starts the mount at boot: the unit for systemd."""

import ctypes
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import BIN, DEADLINE, until

UNIT = pathlib.Path(__file__).parents[2] / "fs/plasmite@.service.in"


def unit_text():
    return UNIT.read_text(encoding="utf-8").replace("@CMAKE_INSTALL_FULL_BINDIR@", BIN)


def unmount(place):
    """Without a program that has to start first, if that is allowed."""
    if os.geteuid() != 0:
        subprocess.run(["fusermount3", "-u", place], check=True)
    elif ctypes.CDLL(None, use_errno=True).umount2(place.encode(), 0) < 0:
        raise OSError(ctypes.get_errno(), "cannot unmount", place)


class Service(mount.Case):
    def setUp(self):
        super().setUp()
        self.place = os.path.join(self.dir, "place")
        os.mkdir(self.place)

    def manager(self, address):
        """The socket of a service manager, and what it is called in NOTIFY_SOCKET."""
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(address)
        manager.settimeout(DEADLINE)
        return manager

    def command(self):
        """The one of the unit, as systemd would run it for this place."""
        line = re.search(r"^ExecStart=(.*)$", unit_text(), re.MULTILINE).group(1)
        values = {"%f": self.place, "${OPTIONS}": "ro", "${POOLS}": self.pools}
        return [values.get(word, word) for word in shlex.split(line)]

    def start_service(self, name):
        environment = dict(self.environment(), NOTIFY_SOCKET=name)
        return subprocess.Popen(self.command(), env=environment, stdin=subprocess.DEVNULL, start_new_session=True)

    def stop_service(self, service):
        service.send_signal(signal.SIGTERM)
        self.assertEqual(service.wait(DEADLINE), 0)
        self.assertFalse(os.path.ismount(self.place))

    def test_the_service_itself_is_not_in_the_way_of_who_unmounts_at_once(self):
        manager = self.manager("\0" + self.place)
        for _ in range(20):
            service = self.start_service("@" + self.place)
            try:
                self.assertEqual(manager.recv(1000), b"READY=1")
                unmount(self.place)
                self.assertEqual(service.wait(DEADLINE), 0)
            finally:
                service.kill()

    def check(self, address, name):
        manager = self.manager(address)
        service = self.start_service(name)
        try:
            self.assertEqual(manager.recv(1000), b"READY=1")
            self.assertTrue(os.path.ismount(self.place))
            self.assertIn("README", os.listdir(self.place))
        finally:
            self.stop_service(service)

    def test_the_manager_is_told_when_the_mount_is_up(self):
        path = os.path.join(self.dir, "notify")
        self.check(path, path)

    def test_the_manager_has_an_abstract_socket(self):
        name = "plasmite-test-%d" % os.getpid()
        self.check("\0" + name, "@" + name)

    def test_a_manager_that_is_gone_is_not_missed(self):
        for name in (self.dir + "/nobody", "nonsense", "", "/" + 200 * "x"):
            with self.subTest(name=name):
                service = self.start_service(name)
                try:
                    until("the mount is there", lambda: os.path.ismount(self.place) and os.listdir(self.place))
                finally:
                    self.stop_service(service)

    def test_systemd_finds_nothing_wrong_with_the_unit(self):
        unit = os.path.join(self.dir, "plasmite@srv-pools.service")
        with open(unit, "w", encoding="utf-8") as file:
            file.write(unit_text())
        self.assertEqual(self.run_ok(["systemd-analyze", "verify", "--man=no", unit], cwd=self.dir), "")


if __name__ == "__main__":
    mount.main()
