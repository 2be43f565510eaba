import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import struct
import subprocess
import termios
import time
import unittest

import harness

# Names that a careless script would take apart or run.
ODD = ["my pool", "it's", 'say "hi"', "$HOME", "a;b", "back\\slash", "*", "ünï", "-dash"]


class Completion(harness.Case):
    def setUp(self):
        super().setUp()
        # What is completed is typed as `plasmite` and `pls`.
        self.env["PATH"] = os.environ["PLASMITE_BIN"] + ":" + self.env["PATH"]
        self.env["LC_ALL"] = "C.UTF-8"
        self.home_pools = self.path(".plasmite", "pools")
        self.make_pools(self.home_pools, "foo", "food", "bar", ".hid")
        self.make_pools(self.pools, "elsewhere")
        for name in ("file.jsonl", "foofile", "dir/inner.txt", "foodir/x"):
            os.makedirs(os.path.dirname(self.path("work", name)), exist_ok=True)
            self.write_file(os.path.join("work", name), "")
        self.scripts = {shell: self.write_file("script." + shell, self.ok("completion", shell).out) for shell in ("bash", "zsh", "fish")}

    def make_pools(self, directory, *names):
        os.makedirs(directory, exist_ok=True)
        for name in names:
            self.write_file(os.path.join(directory, name + ".plasmite"), "")

    def run_shell(self, *argv):
        done = subprocess.run(argv, env=self.env, cwd=self.path("work"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=harness.LIMIT)
        self.assertEqual(done.stderr, b"", argv)
        return done.stdout.decode()

    # One completion in each shell: the candidates for a line, sorted.

    def bash(self, line):
        """As readline would ask: the words as bash divides them, the last one under the cursor."""
        words = [w for w in re.split(r"(=)| ", line) if w is not None]
        words = [w for i, w in enumerate(words) if w != "" or i == len(words) - 1]
        script = ('source %s; compopt() { echo "compopt $*"; }; COMP_LINE=%s; COMP_WORDS=(%s); COMP_CWORD=%d; _plasmite; printf "%%s\\n" "${COMPREPLY[@]}"'
                  % (self.scripts["bash"], shlex.quote(line), " ".join(map(shlex.quote, words)), len(words) - 1))
        return sorted(filter(None, self.run_shell("bash", "--norc", "-c", script).split("\n")))

    def fish(self, line):
        script = "source %s; complete -C %s" % (self.scripts["fish"], shlex.quote(line))
        return sorted(c.split("\t")[0] for c in self.run_shell("fish", "--no-config", "-c", script).split("\n") if c)

    def fish_described(self, line):
        script = "source %s; complete -C %s" % (self.scripts["fish"], shlex.quote(line))
        return dict(c.split("\t") for c in self.run_shell("fish", "--no-config", "-c", script).split("\n") if "\t" in c)

    # An interactive shell on a terminal: what is typed, then one key that completes and one that shows the line.

    ZSH = """
        autoload -Uz compinit; compinit -u -d %(dir)s/dump
        PS1='' ; unsetopt prompt_sp prompt_cr auto_list auto_menu; unset zle_bracketed_paste
        compadd() {
            if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\\ * ]]; then
                local -a hits; builtin compadd -A hits "$@"; print -rl -- $hits >>%(dir)s/hits
            fi
            builtin compadd "$@"
        }
        show() { print -r -- "line<$BUFFER>"; }
        zle -N show; bindkey '^X' complete-word; bindkey '^Y' show
        """
    BASH = """
        PS1=''; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'
        bind '"\\C-x": complete'
        show() { printf 'line<%%s>\\n' "$READLINE_LINE"; }
        bind -x '"\\C-y": show'
        """
    SHELLS = {"bash": (["bash", "--norc", "--noprofile", "-i"], BASH), "zsh": (["zsh", "-f", "-i"], ZSH)}

    def typed(self, shell, line, load=None):
        """The line after its last word was completed on a terminal.  load: commands in place of reading the script."""
        argv, setup = self.SHELLS[shell]
        load = load or "source " + self.scripts[shell]
        rc = self.write_file("rc", setup % {"dir": self.dir} + load + "; echo ready\n")
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(self.path("work"))
            os.environ.clear()
            os.environ.update(self.env, TERM="xterm")
            os.execvp(argv[0], argv)
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 500, 0, 0))
        try:
            os.write(master, b" source %s\n" % rc.encode())
            self.read_until(master, r"ready\r\n")
            os.write(master, line.encode() + b"\x18\x19")
            return self.read_until(master, r"line<(.*)>\r\n").group(1)
        finally:
            os.close(master)
            os.waitpid(pid, 0)

    def read_until(self, master, pattern):
        shown = b""
        deadline = time.monotonic() + harness.LIMIT
        while True:
            found = re.search(pattern, shown.decode("utf-8", "replace"), re.S)
            if found:
                return found
            self.assertTrue(select.select([master], [], [], max(0, deadline - time.monotonic()))[0], shown)
            shown += os.read(master, 65536)

    def zsh(self, line):
        """The candidates, as zsh was given them."""
        self.write_file("hits", "")
        self.typed("zsh", line)
        with open(self.path("hits")) as file:
            return sorted(set(file.read().split()))


    # The same lines in each shell.

    def check(self, line, expected, shells=("bash", "fish", "zsh")):
        for shell in shells:
            with self.subTest(shell=shell, line=line):
                self.assertEqual(getattr(self, shell)(line), sorted(expected))

    POOL_COMMANDS = ["create", "delete", "help", "info", "list"]

    def test_commands(self):
        self.check("plasmite ", self.commands())
        self.check("plasmite fol", ["follow"])
        self.check("plasmite --color always fol", ["follow"])
        self.check("plasmite pool ", self.POOL_COMMANDS)
        self.check("plasmite help po", ["pool"])
        self.check("plasmite help pool ", self.POOL_COMMANDS)
        self.check("pls pool de", ["delete"])

    def commands(self):
        """What the help page of the program lists."""
        part = self.ok("--help", use_dir=False).out.split("COMMANDS\n")[1].split("\n\n")[0]
        return sorted(line.split()[0] for line in part.splitlines())

    def test_options(self):
        self.check("plasmite pool create --si", ["--size"])
        self.check("plasmite pool create x --i", ["--index-capacity"])
        self.check("plasmite feed --fi", ["--file"])
        self.check("plasmite feed --di", ["--dir"])
        self.check("plasmite --vers", ["--version"])
        self.check("plasmite feed --vers", [])
        self.check("plasmite feed -- --fi", [])

    def test_options__are_explained(self):
        described = self.fish_described("plasmite feed --")
        self.assertIn("--file", described)
        page = " ".join(self.ok("feed", "-h").out.split())
        for text in described.values():
            self.assertIn(text.rstrip("…"), page)
        self.assertEqual(self.fish_described("plasmite fol"), {"follow": "Print messages of a pool as they come"})
        with open(self.scripts["zsh"]) as file:
            self.assertIn("'follow:Print messages of a pool as they come'", file.read())

    def test_choices(self):
        self.check("plasmite completion ", ["bash", "fish", "zsh"])
        self.check("plasmite --color a", ["always", "auto"])
        self.check("plasmite follow --format j", ["json", "jsonl"])
        self.check("plasmite feed -e ", ["skip", "stop"])
        self.check("plasmite tap demo --durability f", ["fast", "flush"])
        self.check("plasmite --color=a", ["always", "auto"], shells=("bash", "zsh"))
        self.check("plasmite --color=a", ["--color=always", "--color=auto"], shells=("fish",))

    def test_pools(self):
        for line in ("plasmite follow ", "plasmite --color never fetch ", "plasmite pool info ", "plasmite pool delete x ", "plasmite feed --tag a ",
                     "plasmite tap ", "plasmite doctor --json ", "pls follow "):
            self.check(line, ["foo", "food", "bar"])
        self.check("plasmite follow fo", ["foo", "food"])
        self.check("plasmite follow .h", [".hid"])
        for line in ("plasmite pool create ", "plasmite pool list ", "plasmite fetch foo ", "plasmite follow --tag ", "plasmite version "):
            self.check(line, [])

    def test_pools_of_the_directory_on_the_line(self):
        for line in ("plasmite --dir %s follow ", "plasmite follow --dir %s ", "plasmite --dir=%s follow ", "plasmite follow --dir=%s ",
                     "plasmite --dir ../pools follow ", "plasmite --dir ~/pools follow "):
            self.check(line.replace("%s", self.pools), ["elsewhere"])
        self.check("plasmite --dir /nonexistent follow ", [])

    def test_files(self):
        self.check("plasmite feed --file f", ["file.jsonl", "foodir/", "foofile"], shells=("fish",))
        self.check("plasmite feed --file f", ["file.jsonl", "foodir", "foofile"], shells=("zsh",))
        self.check("plasmite --dir fo", ["foodir/"], shells=("fish",))
        self.check("plasmite --dir fo", ["foodir"], shells=("zsh",))
        self.check("plasmite feed --file f", ["compopt -o default"], shells=("bash",))
        self.check("plasmite --dir fo", ["compopt -o dirnames"], shells=("bash",))
        for shell in "bash", "zsh":
            for line, completed in (("feed --file fi", "feed --file file.jsonl "), ("feed --file=fi", "feed --file=file.jsonl "),
                                    ("feed -f fi", "feed -f file.jsonl "), ("--dir di", "--dir dir/"), ("follow --dir=di", "follow --dir=dir/"),
                                    ("follow ./fi", "follow ./file.jsonl "), ("follow ~/pools/els", "follow ~/pools/elsewhere.plasmite ")):
                self.assertEqual(self.typed(shell, "plasmite " + line), "plasmite " + completed)

    def test_wrapped_command(self):
        self.check("plasmite tap foo ", ["--"])
        for shell in "bash", "zsh":
            self.assertEqual(self.typed(shell, "plasmite tap foo -- mkfif"), "plasmite tap foo -- mkfifo ")
            self.assertEqual(self.typed(shell, "plasmite tap foo -- ls fil"), "plasmite tap foo -- ls file.jsonl ")
        self.check("plasmite tap foo -- mkfif", ["mkfifo"], shells=("fish",))
        self.check("plasmite tap foo -- ls fil", ["file.jsonl"], shells=("fish",))

    def test_odd_names__come_out_as_they_are(self):
        self.make_pools(self.home_pools, *ODD)
        self.check("plasmite follow -- ", ["foo", "food", "bar"] + ODD, shells=("fish",))
        lines = {"my": r"my\ pool", "'my": "'my pool'", '"my': '"my pool"', "it": r"it\'s", "'it": r"'it'\''s'", '"it': '"it\'s"',
                 "say": r"say\ \"hi\"", "'say": """'say "hi"'""", '"say': r'"say \"hi\""', r"\$": r"\$HOME", "'$": "'$HOME'",
                 r'"\$': r'"\$HOME"', r"a\;": r"a\;b", "back": r"back\\slash", "'back": r"'back\slash'", '"back': r'"back\\slash"',
                 r"\*": r"\*", "ü": "ünï"}
        for shell in "bash", "zsh":
            for typed, completed in lines.items():
                self.assertEqual(self.typed(shell, "plasmite follow " + typed), "plasmite follow " + completed + " ")
            self.assertEqual(self.typed(shell, "plasmite follow -- -d"), "plasmite follow -- -dash ")
            self.assertEqual(self.typed(shell, "plasmite follow -d"), "plasmite follow -d")

    def test_names_with_colons(self):
        self.make_pools(self.home_pools, "a:b", "a::c d", "m y:x", "x:")
        for shell in "bash", "zsh":
            for typed, completed in {"a:b": "a:b", "a::": r"a::c\ d", r"m\ ": r"m\ y:x", r"m\ y:": r"m\ y:x", "'a:b": "'a:b'",
                                     "--tail 1 a:b": "--tail 1 a:b", "x: --tai": "x: --tail"}.items():
                with self.subTest(shell=shell, typed=typed):
                    line = self.typed(shell, "plasmite follow " + typed)
                    self.assertEqual(line.replace("\\:", ":"), "plasmite follow " + completed + " ")
        self.assertEqual(self.typed("bash", "plasmite tap x: -- mkfif"), "plasmite tap x: -- mkfifo ")

    def test_names_with_newlines_and_tabs__are_not_two(self):
        self.make_pools(self.home_pools, "new\nline", "tab\tx", "newer")
        self.check("plasmite follow new", ["newer"], shells=("fish",))
        self.check("plasmite follow tab", [], shells=("fish",))

    def test_pls(self):
        for shell in "bash", "zsh":
            self.assertEqual(self.typed(shell, "pls follow ba"), "pls follow bar ")

    # As an installation has them, and as the help says.

    def test_loaded_by_the_shell_itself(self):
        for name, shell in (("functions/_plasmite", "zsh"), ("completions/plasmite.fish", "fish"), ("completions/pls.fish", "fish")):
            os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
            shutil.copy(self.scripts[shell], self.path(name))
        load = "fpath=(%s $fpath); compinit -u -D" % self.path("functions")
        for program in "plasmite", "pls":
            self.assertEqual(self.typed("zsh", program + " follow ba", load), program + " follow bar ")
            script = "set fish_complete_path %s; complete -C '%s follow b'" % (self.path("completions"), program)
            self.assertEqual(self.run_shell("fish", "--no-config", "-c", script), "bar\n")

    def test_evaluated_from_the_program(self):
        for shell in "bash", "zsh":
            self.assertEqual(self.typed(shell, "plasmite follow ba", 'eval "$(plasmite completion %s)"' % shell), "plasmite follow bar ")
        self.assertEqual(self.run_shell("fish", "--no-config", "-c", "plasmite completion fish | source; complete -C 'pls follow b'"), "bar\n")

    # The command itself.

    def test_scripts__are_sound(self):
        for shell, check in (("bash", ["bash", "-n"]), ("zsh", ["zsh", "-f", "-n"]), ("fish", ["fish", "--no-config", "-n"])):
            self.run_shell(*check, self.scripts[shell])
        for shell, text in (("bash", "_plasmite"), ("zsh", "#compdef plasmite pls\n"), ("fish", "complete -c plasmite")):
            with open(self.scripts[shell]) as file:
                script = file.read()
            for word in (text, "pool", "feed", "follow"):
                self.assertIn(word, script)

    def test_other_shells__are_refused_by_name(self):
        for shell in "elvish", "powershell", "nope", "fake-shell", "":
            error = self.refused("Usage", "completion", shell, use_dir=False)
            self.assertEqual(error["message"], "invalid value '%s' for '<SHELL>'" % shell)
            self.assertEqual(error["hint"], "Use bash, fish or zsh. Try `plasmite --help`.")

    def test_full_output__is_an_error(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(self.argv("completion", "zsh"), stdout=full, stderr=subprocess.PIPE, env=self.env)
        self.assertEqual(done.returncode, 8)


if __name__ == "__main__":
    unittest.main(verbosity=2)
