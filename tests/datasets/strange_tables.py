"""Wrong and strange files, each with what must come of it: its cells, or the one line that says what is wrong.

A file is (name, bytes, expected): a dict from column to numbers (None is a gap) or to texts, or the line. Numbers are
read with the decimal mark that was found. In lines, FILE is the file's name.
"""

from __future__ import annotations

import codecs
import gzip

N = None
ROWS = b"a,b,y\n1,x,2\n3,z,4\n"
PLAIN = {"a": [1.0, 3.0], "b": ["x", "z"], "y": [2.0, 4.0]}
UMLAUT = "größe,b,y\n1,ä,2\n3,ß,4\n"
WORDS = {"größe": [1.0, 3.0], "b": ["ä", "ß"], "y": [2.0, 4.0]}
EURO = "a,b,y\n1,€,2\n3,–,4\n"
EUROS = {"a": [1.0, 3.0], "b": ["€", "–"], "y": [2.0, 4.0]}
LONG = b"a,y\n" + b"".join(b"%d,%d\n" % (i, 2 * i) for i in range(40_000))

READ = [
    # encodings and byte-order marks
    ("plain.csv", ROWS, PLAIN),
    ("utf8.csv", UMLAUT.encode(), WORDS),
    ("utf8_bom.csv", codecs.BOM_UTF8 + UMLAUT.encode(), WORDS),
    ("latin.csv", UMLAUT.encode("latin-1"), WORDS),
    ("windows.csv", EURO.encode("cp1252"), EUROS),
    ("utf16_le_bom.csv", codecs.BOM_UTF16_LE + UMLAUT.encode("utf-16-le"), WORDS),
    ("utf16_be_bom.csv", codecs.BOM_UTF16_BE + UMLAUT.encode("utf-16-be"), WORDS),
    ("utf16_le.csv", ROWS.decode().encode("utf-16-le"), PLAIN),
    ("utf16_be.csv", ROWS.decode().encode("utf-16-be"), PLAIN),
    ("utf32_bom.csv", codecs.BOM_UTF32_LE + UMLAUT.encode("utf-32-le"), WORDS),
    ("late_umlaut.csv", LONG + "ä,2\n".encode(), {"y": [float(2 * i) for i in range(40_000)] + [2.0]}),
    ("late_latin.csv", LONG + "ä,2\n".encode("latin-1"), {"y": [float(2 * i) for i in range(40_000)] + [2.0]}),
    ("emoji.csv", "a,y\n🙂,1\n漢字,2\n".encode(), {"a": ["🙂", "漢字"], "y": [1.0, 2.0]}),
    ("arabic_digits.csv", "a,y\n١٢,1\n٣,2\n".encode(), {"a": ["١٢", "٣"], "y": [1.0, 2.0]}),
    ("bom_and_quotes.csv", codecs.BOM_UTF8 + b'"a","y"\n"1","2"\n', {"a": [1.0], "y": [2.0]}),
    # separators
    ("semicolons.csv", ROWS.replace(b",", b";"), PLAIN),
    ("tabs.csv", ROWS.replace(b",", b"\t"), PLAIN),
    ("bars.csv", ROWS.replace(b",", b"|"), PLAIN),
    ("plain.tsv", ROWS.replace(b",", b"\t"), PLAIN),
    ("plain.tab", ROWS.replace(b",", b"\t"), PLAIN),
    ("plain.txt", ROWS.replace(b",", b";"), PLAIN),
    ("upper.CSV", ROWS, PLAIN),
    ("one_column.csv", b"y\n1\n2\n", {"y": [1.0, 2.0]}),
    ("commas_in_text.csv", b"a;y\none, two;1\nthree, four, five;2\n", {"a": ["one, two", "three, four, five"]}),
    ("commas_in_quotes.csv", b'a,y\n"one, two",1\n"three",2\n', {"a": ["one, two", "three"], "y": [1.0, 2.0]}),
    ("semicolons_in_quotes.csv", b'a;y\n"one; two";1\nthree;2\n', {"a": ["one; two", "three"]}),
    ("tsv_with_commas.tsv", b"a\ty\n1,5\t2\n2,5\t3\n", {"a": [1.5, 2.5], "y": [2.0, 3.0]}),
    # decimal marks
    ("decimal_commas.csv", b"a;y\n1,5;2\n-2,25;3\n", {"a": [1.5, -2.25], "y": [2.0, 3.0]}),
    ("decimal_commas_quoted.csv", b'a,y\n"1,5",2\n"0,25",3\n', {"a": [1.5, 0.25], "y": [2.0, 3.0]}),
    ("decimal_points.csv", b"a;y\n1.5;2\n-.25;3\n", {"a": [1.5, -0.25], "y": [2.0, 3.0]}),
    ("both_marks.csv", b"a;b;y\n1.5;1,5;2\n2.5;2,5;3\n", {"a": [1.5, 2.5], "b": ["1,5", "2,5"]}),
    ("thousands.csv", b'a,y\n"1,234",2\n"12,345,678",3\n', {"a": ["1,234", "12,345,678"]}),
    ("exponents.csv", b"a,y\n1e3,1\n-2.5E-2,2\n+4.e0,3\n", {"a": [1000.0, -0.025, 4.0]}),
    ("exponents_comma.csv", b"a;y\n1,5e3;1\n2;2\n", {"a": [1500.0, 2.0]}),
    ("underscores.csv", b"a,y\n1_000,1\n2,2\n", {"a": ["1_000", "2"]}),
    ("hexadecimal.csv", b"a,y\n0x10,1\n2,2\n", {"a": ["0x10", "2"]}),
    ("precise.csv", b"a,y\n0.1000000000000000055511151231257827,1\n", {"a": [0.1]}),
    ("leading_zeros.csv", b"zip,y\n02139,1\n10001,2\n", {"zip": ["02139", "10001"]}),
    ("spaces.csv", b"a,b,y\n 1 , x ,2\n\t3,z\t, 4\n", PLAIN),
    # ends of lines
    ("windows_lines.csv", ROWS.replace(b"\n", b"\r\n"), PLAIN),
    ("old_mac_lines.csv", ROWS.replace(b"\n", b"\r"), PLAIN),
    ("mixed_lines.csv", b"a,b,y\r\n1,x,2\n3,z,4\r", PLAIN),
    ("no_last_newline.csv", ROWS[:-1], PLAIN),
    ("blank_lines.csv", b"a,b,y\n\n1,x,2\n\n\n3,z,4\n\n", PLAIN),
    ("blank_first_lines.csv", b"\n\na,b,y\n1,x,2\n3,z,4\n", PLAIN),
    ("newlines_in_quotes.csv", b'a,y\n"one\ntwo",1\n"three",2\n', {"a": ["one\ntwo", "three"], "y": [1.0, 2.0]}),
    ("windows_newlines_in_quotes.csv", b'a,y\r\n"one\r\ntwo",1\r\nb,2\r\n', {"a": ["one\ntwo", "b"]}),
    # quotes
    ("doubled_quotes.csv", b'a,y\n"say ""hi""",1\nb,2\n', {"a": ['say "hi"', "b"]}),
    ("inches.csv", b'a,y\n5" pipe,1\n6" pipe,2\n', {"a": ['5" pipe', '6" pipe'], "y": [1.0, 2.0]}),
    ("one_inch.csv", b"a,y\n5\" pipe,1\n6' pipe,2\n", {"a": ['5" pipe', "6' pipe"], "y": [1.0, 2.0]}),
    ("quoted_all.csv", b'"a","b","y"\n"1","x","2"\n"3","z","4"\n', PLAIN),
    ("quoted_empty.csv", b'a,y\n"",1\n"2",2\n', {"a": [N, 2.0]}),
    ("single_quotes.csv", b"a,y\n'x',1\n'z',2\n", {"a": ["'x'", "'z'"]}),
    ("quoted_names.csv", b'"a, b","y"\n1,2\n', {"a, b": [1.0], "y": [2.0]}),
    ("names_of_two_lines.csv", b'"a\nb",y\n1,2\n', {"a\nb": [1.0], "y": [2.0]}),
    # gaps
    ("gaps.csv", b"a,b,y\n,x,1\n3,,2\n", {"a": [N, 3.0], "b": ["x", N], "y": [1.0, 2.0]}),
    ("marks.csv", b"a,y\nNA,1\nnan,2\nNULL,3\n?,4\n-,5\nn/a,6\n7,7\n", {"a": [N, N, N, N, N, N, 7.0]}),
    ("all_gaps.csv", b"a,y\n,1\n,2\n", {"a": [N, N], "y": [1.0, 2.0]}),
    ("last_gaps.csv", b"y,a\n1,\n2,\n", {"a": [N, N], "y": [1.0, 2.0]}),
    ("none_is_a_word.csv", b"a,y\nnone,1\nsome,2\n", {"a": ["none", "some"]}),
    # names
    ("empty_name.csv", b",y\n1,2\n", {"column 1": [1.0], "y": [2.0]}),
    ("empty_last_name.csv", b"a,y,\n1,2,\n3,4,\n", {"a": [1.0, 3.0], "y": [2.0, 4.0], "column 3": [N, N]}),
    ("spaces_in_names.csv", b" a , y \n1,2\n", {"a": [1.0], "y": [2.0]}),
    ("a_number_among_names.csv", b"2023,y\n1,2\n", {"2023": [1.0], "y": [2.0]}),
    # sizes
    ("one_row.csv", b"a,b,y\n1,x,2\n", {"a": [1.0], "b": ["x"], "y": [2.0]}),
    ("wide.csv", b",".join(b"c%d" % i for i in range(10_000)) + b"\n" + b"1," * 9_999 + b"1\n", {"c0": [1.0]}),
    ("long.csv", LONG, {"a": [float(i) for i in range(40_000)], "y": [float(2 * i) for i in range(40_000)]}),
    ("long_quoted.csv", LONG + b'"1","2"\n', {"y": [float(2 * i) for i in range(40_000)] + [2.0]}),
    ("long_cell.csv", b"a,y\n" + b"x" * 100_000 + b",1\n", {"a": ["x" * 100_000], "y": [1.0]}),
    # packed
    ("packed.csv.gz", gzip.compress(ROWS, mtime=0), PLAIN),
    ("packed_by_no_name.csv", gzip.compress(ROWS, mtime=0), PLAIN),
    ("packed.tsv.gz", gzip.compress(ROWS.replace(b",", b"\t"), mtime=0), PLAIN),
    ("packed_latin.csv.gz", gzip.compress(UMLAUT.encode("latin-1"), mtime=0), WORDS),
    # JSON lines
    ("lines.jsonl", b'{"a": 1, "b": "x", "y": 2}\n{"a": 3, "b": "z", "y": 4}\n', PLAIN),
    ("lines_gaps.jsonl", b'{"a": 1, "y": 2}\n\n{"b": "z", "y": 4, "a": null}\n', {"a": [1.0, N], "b": [N, "z"]}),
    ("lines_mixed.ndjson", b'{"a": 1, "y": 2}\n{"a": "z", "y": 4}\n', {"a": ["1", "z"], "y": [2.0, 4.0]}),
    ("lines_quotes.jsonl", b'{"a": "say \\"hi\\"", "y": 2}\n', {"a": ['say "hi"'], "y": [2.0]}),
]

REFUSED = [
    ("nothing.csv", b"", "FILE is empty"),
    ("newlines.csv", b"\n\n\n", "FILE is empty"),
    ("bom_alone.csv", codecs.BOM_UTF8, "FILE is empty"),
    ("names_alone.csv", b"a,b,y\n", "FILE has no rows below its row of names"),
    ("names_without_end.csv", b"a,b,y", "FILE has no rows below its row of names"),
    ("no_names.csv", b"1,2,3\n4,5,6\n", "FILE: its first row, 1, 2, 3, holds numbers; add a row of column names"),
    ("twice.csv", b"a,a,y\n1,2,3\n", "FILE has 2 columns named 'a'; give each its own name"),
    ("twice_by_spaces.csv", b"a, a,y\n1,2,3\n", "FILE has 2 columns named 'a'; give each its own name"),
    ("long_row.csv", b"a,b,y\n1,x,2\n3,z,4,5\n", "FILE: row 3 has 4 cells, the row of names has 3"),
    ("short_row.csv", b"a,b,y\n1,x,2\n3,z\n", "FILE: row 3 has 2 cells, the row of names has 3"),
    ("two_wrong_rows.csv", b"a,b,y\n1,x\n3,z,4,5\n", "FILE: row 2 has 2 cells, the row of names has 3"),
    ("late_row.csv", LONG + b"1\n", "FILE: row 40002 has 1 cell, the row of names has 2"),
    ("row_after_quotes.csv", b'a,y\n"one\ntwo",1\n3\n', "FILE: row 4 has 1 cell, the row of names has 2"),
    ("row_after_blanks.csv", b"a,y\n\n1,2\n\n3\n", "FILE: row 5 has 1 cell, the row of names has 2"),
    ("open_quote.csv", b'a,y\n1,2\n"3,4\n', "FILE: the quote that opens in row 3 is never closed"),
    (
        "open_quote_far.csv",
        b'a,y\n"1,2\n' + LONG,
        "FILE: row 2 holds a cell of more than 131,072 characters; is a quote not closed?",
    ),
    ("stray_quote.csv", b'a,y\n"1"x,2\n', "FILE: row 2 has a quote inside a quoted cell that is not doubled"),
    ("null.csv", b"a,y\n1,2\n\0,3\n", "FILE: row 3 holds a null character; the file is not text, or it is damaged"),
    (
        "late_null.csv",
        LONG + b"\0,1\n",
        "FILE: row 40002 holds a null character; the file is not text, or it is damaged",
    ),
    (
        "infinite.csv",
        b"a,y\n1,2\ninf,3\n",
        "column 'a' holds inf in row 3 of FILE; every number must be finite: drop the row, or empty the cell",
    ),
    (
        "overflow.csv",
        b"a,y\n1,2\n-1e999,3\n",
        "column 'a' holds -inf in row 3 of FILE; every number must be finite: drop the row, or empty the cell",
    ),
    ("no_target.csv", b"a,b\n1,2\n", "--target: there is no column 'y'; there are a, b"),
    ("empty_target.csv", b"a,y\n1,\n2,\n", "FILE has 0 rows with a target; at least 2 are needed"),
    ("one_target.csv", b"a,y\n1,\n2,5\n", "FILE has 1 row with a target; at least 2 are needed"),
    ("one_class.csv", b"a,y\n" + b"1,x\n2,x\n" * 9, "the target 'y' is 'x' in all training rows; there is no choice"),
    (
        "one_value.csv",
        b"a,y\n" + b"1,2.5\n2,2.5\n" * 9,
        "the target 'y' is 2.5 in all training rows; there is nothing to learn",
    ),
    (
        "no_columns.csv",
        b"y\n1.5\n2.5\n3.5\n4.5\n5.5\n6\n",
        "no column is left as an input: the table has only the target",
    ),
    (
        "only_constants.csv",
        b"a,y\n" + b"7,1.5\n7,2.5\n" * 9,
        "no column is left as an input: 'a', left out: constant, 7",
    ),
    (
        "not_packed.csv.gz",
        gzip.compress(LONG, mtime=0)[:2000],
        "FILE cannot be read: Compressed file ended before the end-of-stream marker was reached",
    ),
    ("no_parquet.parquet", b"PAR0 nonsense", "FILE cannot be read: "),
    ("no_excel.xlsx", b"PK nonsense", "FILE cannot be read: "),
    ("no_json.jsonl", b'{"a": 1, "y": 2}\n{"a": 1, \n', "FILE: row 2 is not JSON: "),
    ("no_object.jsonl", b'{"a": 1, "y": 2}\n[1, 2]\n', "FILE: row 2 is not an object of names and values, but [1, 2]"),
    (
        "a_list_in_it.jsonl",
        b'{"a": [1], "y": 2}\n',
        "column 'a' holds a list in row 1 of FILE; a cell is a number or a text",
    ),
]
