"""The gate says what Python's json says, and keeps what it means, for random documents, whole and damaged.

Usage: test_json_python.py PATH-OF-json_verdicts. PLASMITE_SEED repeats a run.

Known differences, and what is done about them:
- Python takes NaN, Infinity and -Infinity: they are refused here by a hook.
- Python takes documents nested deeper than 120: none is made here.
- Python takes a byte order mark before bytes, and UTF-16 and UTF-32: it is given text that we have decoded, strictly.
- Python refuses integers of more than 4300 digits: none is made here.
- Python takes surrogates that are not escaped: strict decoding has refused them before.
- Lone surrogates in escapes: both take them.
"""

import json
import os
import random
import struct
import subprocess
import sys
import time

DOCUMENTS = 20000

STRINGS = [
    '""', '"a"', '"key"', '"\\n\\t\\"\\\\\\/\\b\\f\\r"', '"é"', '"漢字 and 😀"', '"\\u00e9\\uD83D\\uDE00"', '"\\ud800"',
    '"\\udc00x"', '"\\u0000"', '" {}[],: "', '"true"', '"\x7f"', '"' + "long " * 20 + '"', '"' + "\\\\" * 40 + '"',
]
NUMBERS = [
    "0", "-0", "1", "-17", "18446744073709551616", "0.5", "3.10", "-0.0", "1e5", "1E-7", "2.5e+10", "1e400", "0e0", "10.01e007",
]
BLANKS = ["", "", "", " ", "\n", "\t", "\r\n", "    ", "\n" + " " * 70]
SPECIAL = b'{}[]:,"\\ \n\t\r0123456789-+.eEtrufalsnNI/\x00\x01\x1f\x7f\x80\xbf\xc0\xc3\xe2\xed\xf0\xf4\xff\x0b\x0c'


def value(r, depth):
    kind = r.randrange(8 if depth else 4)
    if kind == 0:
        return r.choice(["true", "false", "null"])
    if kind == 1:
        return r.choice(NUMBERS) if r.random() < 0.5 else str(r.randrange(-(10**9), 10**9) / r.choice([1, 10, 1000]))
    if kind < 4:
        return r.choice(STRINGS)

    def blank():
        return r.choice(BLANKS)

    if kind < 6:
        inside = [blank() + value(r, depth - 1) + blank() for _ in range(r.randrange(6))]
        return "[" + (",".join(inside) or blank()) + "]"
    inside = [
        blank() + r.choice(STRINGS) + blank() + ":" + blank() + value(r, depth - 1) + blank()
        for _ in range(r.randrange(6))
    ]
    return "{" + (",".join(inside) or blank()) + "}"


def damaged(r, document):
    for _ in range(r.randrange(1, 4)):
        at = r.randrange(len(document) + 1)
        byte = bytes([r.choice(SPECIAL)])
        how = r.randrange(4)
        if how == 0:
            document = document[:at] + byte + document[at + 1 :]
        elif how == 1:
            document = document[:at] + document[at + 1 :]
        elif how == 2:
            document = document[:at] + byte + document[at:]
        else:
            document = document[: at or 1]
    return document


def make(r):
    document = (r.choice(BLANKS) + value(r, r.randrange(6)) + r.choice(BLANKS)).encode()
    return document if r.random() < 0.4 else damaged(r, document)


class Number(str):
    """A number as it was written."""


def refuse(_text):
    raise ValueError("no number")


def parse(text):
    """What Python says, with numbers as written and every member of an object; None: not JSON."""
    try:
        return (
            json.loads(
                text.decode("utf-8"),
                parse_int=Number,
                parse_float=Number,
                parse_constant=refuse,
                object_pairs_hook=lambda pairs: ("object", pairs),
            ),
        )
    except ValueError:
        return None


def without_blanks(text):
    """The text less the white space outside of strings."""
    out = bytearray()
    inside = escaped = False
    for byte in text:
        if inside:
            inside = escaped or byte != ord('"')
            escaped = not escaped and byte == ord("\\")
        elif byte in b" \t\r\n":
            continue
        else:
            inside = byte == ord('"')
        out.append(byte)
    return bytes(out)


def answers_of(program, documents):
    given = b"".join(struct.pack("<I", len(d)) + d for d in documents)
    output = subprocess.run([program], input=given, stdout=subprocess.PIPE, check=True).stdout
    at = 0
    for _ in documents:
        good, length = struct.unpack_from("<BI", output, at)
        yield bool(good), output[at + 5 : at + 5 + length]
        at += 5 + length
    assert at == len(output)


def main():
    seed = int(os.environ.get("PLASMITE_SEED") or time.time_ns())
    print(f"PLASMITE_SEED={seed}")
    r = random.Random(seed)
    documents = [make(r) for _ in range(DOCUMENTS)]
    good_ones = 0
    for document, (good, compact) in zip(documents, answers_of(sys.argv[1], documents)):
        expected = parse(document)
        assert good == (expected is not None), f"ours {good}, python {expected}: {document!r}"
        if good:
            good_ones += 1
            assert compact == without_blanks(document), f"{document!r} became {compact!r}"
            assert parse(compact) == expected, f"{document!r} became {compact!r}"
    print(f"{DOCUMENTS} documents, {good_ones} of them JSON")
    assert DOCUMENTS / 4 < good_ones < DOCUMENTS * 3 / 4, "the documents test nothing"


if __name__ == "__main__":
    main()
