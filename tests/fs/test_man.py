"""The examples of the pages about the mount run as they are printed."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from manpage import MAN, as_script, check_outputs, examples, page_text


class Examples(mount.Case):
    def check_page(self, name):
        blocks = list(examples(page_text(os.path.join(MAN, name))))
        self.assertTrue(blocks, name)
        for steps in blocks:
            done = subprocess.run(["bash", "-c", "exec 2>&1\n" + as_script(steps)], cwd=self.mnt, env=self.environment(),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                  timeout=mount.DEADLINE, check=False)
            check_outputs(self, name, steps, done.stdout)

    def test_the_tree(self):
        self.check_page("plasmitefs.7")

    def test_the_command(self):
        place = os.path.join(self.dir, "pools")  # ~/pools of the page
        self.addCleanup(subprocess.run, ["fusermount3", "-uzq", place], check=False)
        self.check_page("plasmite-mount.8")
        self.assertFalse(os.path.ismount(place))


if __name__ == "__main__":
    mount.main()
