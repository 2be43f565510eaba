"""mount(8) with our helper, and lines of an fstab."""

import os

from mount import BIN, in_namespace


def helper(case):
    """Path of a mount.plasmite that is the program; nothing else is in its directory."""
    path = os.path.join(case.dir, "sbin", "mount.plasmite")
    if not os.path.exists(path):
        os.mkdir(os.path.dirname(path))
        os.symlink(os.path.join(BIN, "plasmite-fs"), path)
    return path


def run(case, place, options, script):
    """
    Runs a script in a mount namespace where the helper is what /usr/sbin has, and returns its output.
    $1: an fstab by which the pools belong on the place with these options, $2: the place.
    """
    fstab = os.path.join(case.dir, "fstab")
    with open(fstab, "w", encoding="utf-8") as file:
        file.write("%s %s plasmite %s 0 0\n" % (case.pools, place, options))
    script = 'set -e; mount --bind "$1" /usr/sbin; shift\n' + script
    return case.run_ok(in_namespace(script, os.path.dirname(helper(case)), fstab, place), cwd=case.dir)
