"""The manual pages: no mistakes in them, every option of the help page and no other, examples that run as printed."""

import os
import re
import subprocess
import unittest

import harness
from manpage import MAN, as_script, check_outputs, examples, page_text

# Programs that examples run and that are not ours.
STAND_INS = {
    "journalctl": "printf '\\036{\"MESSAGE\":\"started\"}\\n\\036{\"MESSAGE\":\"kernel panic\"}\\n'",
    "deploy.sh": "echo deployed",
}


def page_path(*command):
    """The page of a command: mount has its own section, subcommands share the page of their command."""
    name = {"umount": "mount"}.get(command[0], command[0])
    return os.path.join(MAN, "plasmite-%s.%s" % (name, "8" if name == "mount" else "1"))


def options_of_page(text):
    """Long options that have an item of their own in a list."""
    items = [line for line in text.splitlines() if line.startswith(".It ")]
    return set(re.findall(r"Fl -([a-z][a-z-]*)", "\n".join(items)))


def options_of_help(text, heading):
    rows = text.partition("\n%s\n" % heading)[2].partition("\n\n")[0]
    return set(re.findall(r"^ +(?:-., )?--([a-z-]+)", rows, re.MULTILINE))


class Pages(harness.Case):
    def commands(self, *path):
        """Every command with a run function, as a tuple of words, from the help pages."""
        text = self.ok(*path, "--help").out
        rows = text.partition("\n%s\n" % ("Commands:" if path else "COMMANDS"))[2].partition("\n\n")[0]
        names = re.findall(r"^  ([a-z]+) ", rows, re.MULTILINE)
        for name in names:
            if name == "help":
                continue
            if "<COMMAND>" in self.ok(*path, name, "--help").out.splitlines()[2]:
                yield from self.commands(*path, name)
            else:
                yield (*path, name)

    def test_pages__have_no_mistakes(self):
        pages = sorted(os.path.join(MAN, name) for name in os.listdir(MAN) if name[-2:-1] == ".")
        self.assertGreater(len(pages), 8)
        for page in pages:
            done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (0, ""), page)

    def test_pages__have_the_options_of_the_help(self):
        of_help = {}
        for command in self.commands():
            shown = self.ok(*command, "--help").out
            of_help.setdefault(page_path(*command), set()).update(options_of_help(shown, "Options:"))
        self.assertGreater(len(of_help), 8)
        for path, options in of_help.items():
            self.assertEqual(options, options_of_page(page_text(path)), os.path.basename(path))

    def test_main_page__has_the_options_of_the_program_and_names_every_command(self):
        text = page_text(os.path.join(MAN, "plasmite.1"))
        shown = self.ok("--help").out
        self.assertEqual(options_of_help(shown, "OPTIONS") | {"help", "version"}, options_of_page(text))
        for command in self.commands():
            self.assertRegex(text, r"(?m)^\.Cm .*\b%s\b" % " ".join(command))


class Examples(harness.Case):
    def setUp(self):
        super().setUp()
        tools = self.path("tools")
        os.mkdir(tools)
        for name, script in STAND_INS.items():
            self.write_file("tools/" + name, "#!/bin/sh\n%s\n" % script)
            os.chmod(os.path.join(tools, name), 0o755)
        os.symlink("tools/deploy.sh", self.path("deploy.sh"))
        path = [tools, os.environ["PLASMITE_BIN"], os.environ["PATH"]]
        self.env["PATH"] = ":".join(path)

    def run_block(self, steps):
        """What the commands print in one shell."""
        done = subprocess.run(["bash", "-c", as_script(steps)], cwd=self.dir, env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=harness.LIMIT, check=False)
        return done.stdout

    def check_page(self, name):
        blocks = list(examples(page_text(os.path.join(MAN, name))))
        self.assertTrue(blocks, name)
        for steps in blocks:
            check_outputs(self, name, steps, self.run_block(steps))


def add_page_tests():
    for name in sorted(os.listdir(MAN)):
        if name.endswith(".1"):
            setattr(Examples, "test_%s__runs_as_printed" % re.sub(r"\W", "_", name),
                    lambda self, name=name: self.check_page(name))


add_page_tests()

if __name__ == "__main__":
    unittest.main(verbosity=2)
