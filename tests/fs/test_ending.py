"""The end of a test takes its own programs with it, and nobody else's."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import until
from sessions import processes_of


class Ending(mount.Case):
    def test_what_a_program_left_behind(self):
        self.mkpool("ci")
        script = self.start("cat ci/follow > /dev/null 2>&1 & cat ci/log ci/follow > /dev/null 2>&1 &")
        self.finish(script)
        left = self.pids(script)
        self.assertEqual(len(left), 2)
        self.kill(script)
        until("they have ended", lambda: all(state == "Z" for _, state in processes_of(script.pid)))

    def test_a_stranger_who_has_the_number_of_a_program_that_ended(self):
        ended = self.start("true")
        self.finish(ended)
        stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        try:
            ended.pid = stranger.pid
            self.kill(ended)
            self.assertEqual(self.pids(ended), [stranger.pid])
            self.assertIsNone(stranger.poll())
        finally:
            stranger.kill()
            stranger.wait()


if __name__ == "__main__":
    mount.main()
