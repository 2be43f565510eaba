"""The manual pages as text, and their examples."""

import os
import re

MAN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "man")


def page_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def examples(text):
    """Every block in EXAMPLES as a list of (command, expected output)."""
    section = text.partition(".Sh EXAMPLES\n")[2].partition("\n.Sh ")[0]
    for block in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", section, re.MULTILINE | re.DOTALL):
        steps = re.split(r"^\$ ", block.replace("\\&", "").replace("\\e", "\\"), flags=re.MULTILINE)[1:]
        yield [(command, expected) for command, _, expected in (step.partition("\n") for step in steps)]


def as_pattern(expected):
    return r"\A" + re.escape(expected).replace(re.escape("..."), ".*") + r"\Z"


def as_script(steps):
    """The commands of a block for one shell; each output ends with \\001."""
    return "".join(command + "\nprintf '\\001'\n" for command, _ in steps)


def check_outputs(case, page, steps, shown):
    """`shown` is what as_script() printed."""
    outputs = shown.split("\001")
    case.assertEqual(len(outputs), len(steps) + 1, shown)
    for (command, expected), output in zip(steps, outputs):
        output = "\n".join(line.rstrip() for line in output.splitlines())
        case.assertRegex(output, as_pattern(expected.rstrip("\n")), "%s: %s" % (page, command))
