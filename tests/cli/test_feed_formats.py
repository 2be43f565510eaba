"""Every input format of feed, under both policies, at its edges."""

import json
import os
import unittest

import harness

RS = "\x1e"
FORMATS = ["auto", "jsonl", "json", "seq", "jq"]


class Formats(harness.Case):
    def setUp(self):
        super().setUp()
        self.ok("pool", "create", "demo")

    def data(self):
        return [m["data"] for m in self.ok("follow", "demo", "--no-follow").json_lines()]

    def feed(self, text, *options):
        """(exit status, the data that was stored, the notices without the summary, the result)"""
        self.ok("pool", "delete", "demo")
        self.ok("pool", "create", "demo")
        result = self.run_pls("feed", "demo", *options, stdin=text)
        data = self.data()
        self.assertEqual(len(result.lines()), len(data), result)
        return result.rc, data, [n["details"] for n in result.notices() if n["kind"] == "ingest_skip"], result

    def takes(self, form, text, data):
        """All of it is good, under both policies."""
        for policy in ["stop", "skip"] if form != "jq" else ["stop"]:
            rc, stored, notices, result = self.feed(text, "-i", form, "-e", policy)
            self.assertEqual((rc, stored, notices, result.err), (0, data, [], ""), (form, policy, text))

    def skips(self, form, text, data, bad):
        """bad: for each broken record (error kind, index, line, snippet)."""
        rc, stored, notices, result = self.feed(text, "--in", form, "--errors", "skip")
        self.assertEqual((rc, stored), (1, data), result)
        self.assertEqual([(n["error_kind"], n["index"], n.get("line"), n["snippet"]) for n in notices], bad, text)
        summary = result.notices()[-1]
        self.assertEqual(summary["kind"], "ingest_summary")
        self.assertEqual(summary["details"], {"total": len(data) + len(bad), "ok": len(data), "failed": len(bad),
                                              "pool_path": os.path.join(self.pools, "demo.plasmite")})
        return notices

    def stops(self, form, text, data, message="invalid json input", cause=None):
        rc, stored, _, result = self.feed(text, "-i", form)
        error = result.error()
        self.assertEqual((rc, stored, error["kind"], error["message"]), (2, data, "Usage", message), (form, text))
        if cause is not None:
            self.assertEqual(error["causes"], [cause], (form, text))
        return error

    # What each format takes

    def test_auto__takes_objects_in_any_arrangement(self):
        for text, n in [('{"n":1}\n{"n":2}\n', 2), ('{"n":1}\r\n\r\n{"n":2}', 2), ('{\n  "n": 1\n}\n{\n "n":\n2}\n', 2),
                        ('{"n":1}{"n":2} {"n":3}', 3), (RS + '{"n":1}' + RS + '{"n":2}', 2), ('{"n":1}\n%s{"n":2}' % RS, 2),
                        ('\n \t\n  {"n":1}\n\t{"n":2}', 2), ('{"n":1}', 1)]:
            self.takes("auto", text, [{"n": i + 1} for i in range(n)])

    def test_jsonl__takes_one_object_a_line(self):
        self.takes("jsonl", '\n{"n":1}\r\n \n  {"n":2} \t\n{"n":3}', [{"n": 1}, {"n": 2}, {"n": 3}])

    def test_json__takes_one_object(self):
        for text in ['{"n":1}', '\n\n {\n"n"\n:\n1}\r\n\n']:
            self.takes("json", text, [{"n": 1}])

    def test_seq__takes_what_stands_behind_rs(self):
        for text in [RS + '{"n":1}\n' + RS + '{"n":\n2}\n', '{"n":1}' + RS + '{"n":2}', RS * 3 + ' \n' + RS + '{"n":1}' + RS + '{"n":2}' + RS]:
            self.takes("seq", text, [{"n": 1}, {"n": 2}])
            if text[0] == RS:
                self.takes("auto", text, [{"n": 1}, {"n": 2}])

    def test_jq__takes_values_one_after_the_other(self):
        self.takes("jq", '{"n":1}{"n":2}\n{\n"n":3}\n', [{"n": 1}, {"n": 2}, {"n": 3}])

    def test_events__are_found_by_auto(self):
        for text, n in [('data: {"n":1}\n\ndata: {"n":2}\n\n', 2), ('data:{"n":1}\n', 1), ('data: {"n":1}', 1),
                        ('event: x\ndata: {"n":1}\n\nid: 5\nretry: 1\ndata: {"n":2}\n\n', 2),
                        (': ping\n\n: ping\ndata: {"n":\ndata: 1}\nother\n\n\n\ndata\n\n', 1),
                        ('id: 1\r\ndata: {"n":1}\r\n\r\ndata:  {"n":2} \r\n\r\n', 2), ('\n\n  data: {"n":1}\n\n', 1)]:
            self.takes("auto", text, [{"n": i + 1} for i in range(n)])

    def test_events__only_by_auto(self):
        for form in ["jsonl", "json", "seq", "jq"]:
            self.stops(form, 'data: {"n":1}\n\n', [])

    def test_blank_input__is_no_input(self):
        for form in FORMATS:
            for text in ["", "\n \r\n\t", ": only a comment\n\n" if form == "auto" else ""]:
                error = self.refused("Usage", "feed", "demo", "-i", form, stdin=text)
                self.assertEqual(error["message"], "missing data input")
        error = self.refused("Usage", "feed", "demo", "-i", "seq", stdin=RS + "\n" + RS)
        self.assertEqual(error["message"], "missing data input")

    def test_messages__are_copied_in_every_format(self):
        self.ok("feed", "demo", '{"n":1}', "--tag", "t")
        message = self.ok("fetch", "demo", "1").out
        for form in FORMATS:
            receipt = self.ok("feed", "demo", "-i", form, stdin=message).json()
            self.assertEqual(receipt["meta"]["tags"], ["t"], form)
        self.ok("feed", "demo", stdin="data: " + message + "\n\n")
        self.assertEqual(self.data(), [{"n": 1}] * 7)

    # At once

    def test_values__are_appended_as_soon_as_they_are_complete(self):
        rows = [("auto", [('{"n":1}', 1), ('{\n"n":', 0), ("2}", 1), (' \n{"n":3}\n', 1), ('{"n":4}{"n":5}', 2)]),
                ("auto", [("d", 0), ('ata: {"n":1}\n', 0), ("\n", 1), ('data: {"n":2}\n\n', 1)]),
                ("auto", [(RS + '{"n":1}', 1), ("\n" + RS + '{"n":2}\n', 1)]),
                ("jsonl", [('{"n":1}\n', 1), ('{"n":', 0), ("2}", 0), ("\n", 1)]),
                ("seq", [(RS + '{"n":1}', 1), ("\n" + RS + '{"n":2}', 1)]),
                ("jq", [('{"n":1}', 1), ('{"n":2}', 1)])]
        for form, pieces in rows:
            feed = self.start("feed", "demo", "-i", form)
            for piece, receipts in pieces:
                feed.write(piece)
                for _ in range(receipts):
                    self.assertIn("seq", feed.json_line())
            feed.close_stdin()
            self.assertEqual((feed.wait(), feed.out.rest(), feed.err.rest()), (0, "", ""))

    # What is broken

    def test_auto__skips_record_by_record(self):
        self.skips("auto", '{"n":1}\n\nnot-json\nalso not\n  nor this\n{"n":2}\n{"y":\n', [{"n": 1}, {"n": 2}],
                   [("Parse", 2, 3, "not-json"), ("Parse", 3, 4, "also not"), ("Parse", 4, 5, "nor this"),
                    ("Parse", 6, 7, '{"y":')])
        self.skips("auto", '{\n "a": x,\n {"inner":1}\n}\n {"n":1}\n', [{"n": 1}], [("Parse", 1, 1, '{\n "a": x,')])
        self.skips("auto", '{"cut":\n{"n":1}\n{"cut":"\n{"n":2}', [{"n": 1}, {"n": 2}],
                   [("Parse", 1, 1, '{"cut":'), ("Parse", 3, 3, '{"cut":"')])
        self.skips("auto", '[1]\n42\n"x"\nnull\n[\n{"i":1}\n]\n{"n":1}\n', [{"n": 1}],
                   [("Usage", 1, 1, "[1]"), ("Usage", 2, 2, "42"), ("Usage", 3, 3, '"x"'), ("Usage", 4, 4, "null"),
                    ("Usage", 5, 5, '[\n{"i":1}\n]')])
        deep = '{"a":' * 121 + "1" + "}" * 121
        self.skips("auto", deep + "\n" + deep + '\n{"n":1}\n', [{"n": 1}],
                   [("Usage", 1, 1, deep[:197] + "..."), ("Usage", 2, 2, deep[:197] + "...")])

    def test_jsonl__skips_line_by_line(self):
        self.skips("jsonl", '{"n":1}{"n":2}\n{\n"a": 1\n}\n[1]\n42 x\n{"n":1} x\n{"n":3}\n"\n', [{"n": 3}],
                   [("Parse", 1, 1, '{"n":1}{"n":2}'), ("Parse", 2, 2, "{"), ("Parse", 3, 3, '"a": 1'),
                    ("Parse", 4, 4, "}"), ("Usage", 5, 5, "[1]"), ("Parse", 6, 6, "42 x"), ("Parse", 7, 7, '{"n":1} x'),
                    ("Parse", 9, 9, '"')])

    def test_json__is_one_record(self):
        for text in ['{"n":1', '{"n":1} {"n":2}', '{"n":1}\nx\n', "x"]:
            notices = self.skips("json", text, [], [("Parse", 1, None, text.strip())])
            self.assertEqual(notices[0]["mode"], "json")
        self.skips("json", "[\n{}\n]\n", [], [("Usage", 1, None, "[\n{}\n]")])

    def test_seq__resumes_at_rs(self):
        notices = self.skips("seq", '{"n":1' + RS + '{"n":2}' + RS + 'x\n{"lost":1}\n' + RS + "[1]\n" + RS + '{"n":3} {"n":4}' +
                             RS + '{"n":5}', [{"n": 2}, {"n": 3}, {"n": 5}],
                             [("Parse", 1, None, '{"n":1'), ("Parse", 3, None, 'x\n{"lost":1}'), ("Usage", 4, None, "[1]"),
                              ("Parse", 6, None, '{"n":4}')])
        self.assertEqual({n["mode"] for n in notices}, {"seq"})

    def test_events__resume_at_an_empty_line(self):
        text = 'data: {"n":1\ndata: x\n\n: c\ndata: {"n":2}\n\nid: 3\ndata: 42\nevent: e\n\ndata: {} {}\n\ndata: {"n":3}\n\ndata: ['
        notices = self.skips("auto", text, [{"n": 2}, {"n": 3}],
                             [("Parse", 1, 3, '{"n":1\nx'), ("Usage", 3, 10, "42"), ("Parse", 4, 12, "{} {}"), ("Parse", 6, 15, "[")])
        self.assertEqual({n["mode"] for n in notices}, {"event"})
        self.skips("auto", "data: x\n\ndata: y\n", [], [("Parse", 1, 2, "x"), ("Parse", 2, 3, "y")])

    def test_jq__refuses_to_skip(self):
        error = self.refused("Usage", "feed", "demo", "-i", "jq", "-e", "skip", stdin='{"n":1}')
        self.assertTrue(error["message"].startswith("skip is not supported"))
        self.assertIn("--in jsonl", error["hint"])
        self.assertIn("--in auto", error["hint"])
        self.assertEqual(self.data(), [])
        self.assertIn("--in jsonl", self.stops("jq", '{"n":1} x', [{"n": 1}])["hint"])

    def test_stop__keeps_what_came_before(self):
        for form, text in [("auto", '{"n":1}\nx'), ("auto", '{"n":1}{"n"'), ("jsonl", '{"n":1}\n{"n":2}{"n":3}\n{"n":4}\n'),
                           ("jq", '{"n":1}{"n"'), ("seq", RS + '{"n":1}' + RS + "x"), ("auto", 'data: {"n":1}\n\ndata: x\n\n')]:
            error = self.stops(form, text, [{"n": 1}])
            self.assertIn("Record 2", error["hint"])
            if form not in ("jq", "seq"):
                self.assertIn("-e skip", error["hint"])
                self.assertIn("line ", error["hint"])

    def test_stop__tells_the_cause(self):
        for form in FORMATS:
            self.stops(form, "x", [], cause="expected a value")
            self.stops(form, "[1]", [], "data must be object")
            self.stops(form, "[1", [], cause="unfinished value")
            self.stops(form, '{"n":1', [], cause="unfinished value")
            self.stops(form, '{"n":01}', [], cause="a number must not start with 0 and another digit")
            self.stops(form, '{"n":"\n"}' if form != "jsonl" else '{"n":"\t"}', [],
                       cause="control character in a string must be escaped")
        for form in ["jsonl", "json"]:
            self.stops(form, '{"n":1} {"n":2}', [], cause="unexpected text after the value")
        self.assertIn("jq -c '.[]'", self.stops("auto", '[{"n":1}]', [], "data must be object")["hint"])

    # Bytes

    def test_byte_order_mark__is_named(self):
        for form in FORMATS:
            error = self.stops(form, b'\xef\xbb\xbf{"n":1}\n', [], cause="a byte order mark (BOM) stands before the JSON")
            self.assertIn("sed '1s/^\\xef\\xbb\\xbf//'", error["hint"])

    def test_bytes_that_are_not_utf8__are_usage(self):
        for form in FORMATS:
            self.stops(form, b'{"n":"\xff"}', [], cause="invalid UTF-8")
            self.stops(form, b'{"n":"\xc3', [])
        self.stops("auto", b'data: {"n":"\xff"}\n\n', [], cause="invalid UTF-8")
        rc, data, notices, _ = self.feed(b'{"n":"\xff"}\n{"n":"\xc3\xa9"}\n', "-e", "skip")
        self.assertEqual((rc, data, notices[0]["snippet"]), (1, [{"n": "\u00e9"}], '{"n":"\ufffd"}'))

    def test_nul__is_no_blank(self):
        for form in FORMATS:
            self.stops(form, b'\x00{"n":1}', [], cause="expected a value")
            self.stops(form, b'{"n":"\x00"}', [], cause="control character in a string must be escaped")
        self.takes("auto", '{"n":"\\u0000"}', [{"n": "\0"}])

    def test_characters__may_be_cut_anywhere(self):
        text = '{"n":"\u00e9\u6f22\U0001f600"}\n'
        for form, before in [("auto", ""), ("jsonl", ""), ("json", ""), ("seq", RS), ("jq", ""), ("auto", "data: ")]:
            feed = self.start("feed", "demo", "-i", form)
            for byte in (before + text).encode():
                feed.write(bytes([byte]))
            feed.close_stdin()
            self.assertEqual((feed.wait(), feed.err.rest()), (0, ""), form)
        self.assertEqual(self.data(), [{"n": "\u00e9\u6f22\U0001f600"}] * 6)

    # Limits

    def test_largest_message__is_the_limit(self):
        def record(n):
            return '{"n":"%s"}' % ("x" * (n - 8))

        most = self.largest()
        rows = [("auto", "", "\n"), ("jsonl", "", "\n"), ("json", "", ""), ("seq", RS, ""), ("jq", "", ""), ("auto", "data: ", "\n\n")]
        for form, before, after in rows:
            rc, data, _, result = self.feed(before + record(most) + after, "-i", form)
            self.assertEqual((rc, len(data)), (0, 1), result)
            error = self.stops(form, before + record(most + 1) + after, [], "record exceeds size limit")
            self.assertIn("message too large", error["causes"][0])
            if form == "jq":
                continue
            rest = '{"n":1}' if form != "json" else ""
            rc, data, notices, _ = self.feed(before + record(2 * most) + after + before + rest + after, "-i", form, "-e", "skip")
            self.assertEqual((rc, data), (1, [{"n": 1}] if rest else []), form)
            self.assertEqual([(n["error_kind"], n["index"], n["snippet"]) for n in notices],
                             [("Oversize", 1, '{"n":"' + "x" * 191 + "...")], form)

    def largest(self):
        low, high = 8, 1 << 20
        while low < high:
            middle = (low + high + 1) // 2
            if self.run_pls("feed", "demo", stdin='{"n":"%s"}' % ("x" * (middle - 8))).rc == 0:
                low = middle
            else:
                high = middle - 1
        return low

    def test_blanks__are_no_part_of_the_size(self):
        self.takes("auto", '{"n":%s1}' % (" " * 3000000), [{"n": 1}])
        self.takes("json", "\n" * 3000000 + '{"n":1}', [{"n": 1}])

    def test_snippets__are_cut_between_characters(self):
        for text, snippet in [("x" + "\u00e9" * 300, "x" + "\u00e9" * 98 + "..."), ("x" * 200, "x" * 200), ("x" * 201, "x" * 197 + "...")]:
            for form in ["auto", "jsonl", "json"]:
                self.assertEqual(self.feed(text, "-i", form, "-e", "skip")[2][0]["snippet"], snippet)

    def test_a_record_over_many_pieces__has_its_place(self):
        """Longer than what is read at once, and begun long before it turns out to be wrong."""
        start = "".join('{"n":%d}\n' % i for i in range(3))
        text = start + '{"n":[\n' + '"%s",\n' % ("y" * 1000) * 600 + " x]}\n" + '{"n":3}\n'
        rc, data, notices, _ = self.feed(text, "-e", "skip")
        self.assertEqual((rc, len(data)), (1, 4))
        self.assertEqual([(n["line"], n["index"]) for n in notices], [(4, 4)])
        self.assertEqual(notices[0]["snippet"], '{"n":[\n"' + "y" * 189 + "...")

    def test_many_broken_lines__are_told_quickly(self):
        text = "x\n" * 30000 + '{"n":1}\n'
        for form in ["auto", "jsonl"]:
            rc, data, notices, _ = self.feed(text, "-i", form, "-e", "skip")
            self.assertEqual((rc, data), (1, [{"n": 1}]))
            self.assertEqual([(n["index"], n["line"]) for n in notices], [(i + 1, i + 1) for i in range(30000)])

    def test_wrong_shape_of_a_message__is_a_broken_record(self):
        wrong = json.dumps({"seq": 1, "time": "2026-03-04T05:06:07Z", "meta": {"tags": [1]}, "data": {}})
        rc, data, notices, _ = self.feed(wrong + '\n{"n":1}\n', "-e", "skip")
        self.assertEqual((rc, data, notices[0]["error_kind"]), (1, [{"n": 1}], "Usage"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
