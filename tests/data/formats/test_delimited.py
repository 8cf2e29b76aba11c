import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.formats.reading_files import Read, make_reader

from ratchet.config import Format
from ratchet.data.formats import Dialect, open_rows
from ratchet.errors import UserError

CELLS = st.text(st.sampled_from('\r\n\t",;\\ a') | st.characters(codec="utf-8"))
USED = ["text", "labels"]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that writes a file and reads it."""
    return make_reader(tmp_path)


def to_csv(rows: list[list[str]], **dialect: Any) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, **dialect).writerows(rows)
    return buffer.getvalue()


# --- rows and columns -------------------------------------------------------------------------------------------------
def test_columns_without_header_are_numbered_from_one(read: Read) -> None:
    table = read("file.csv", "a,b\nc,d\n", header=False)
    assert table.columns == {"1": ["a", "c"], "2": ["b", "d"]}
    assert table.numbers == [1, 2]


def test_columns_without_header_use_configured_names(read: Read) -> None:
    table = read("file.tsv", "a\tb\n", header=False, column_names=("text", "labels"))
    assert table.columns == {"text": ["a"], "labels": ["b"]}


def test_wrong_number_of_column_names_is_rejected(read: Read) -> None:
    with pytest.raises(UserError, match=r"\b2 columns.*data\.column_names.*\b3\b"):
        read("file.csv", "a,b\n", header=False, column_names=("a", "b", "c"))


def test_duplicate_configured_column_name_is_rejected(read: Read) -> None:
    with pytest.raises(UserError, match=r"data\.column_names"):
        read("file.csv", "a,b\n", header=False, column_names=("text", "text"))


def test_duplicate_column_in_header_is_rejected(read: Read) -> None:
    with pytest.raises(UserError, match=r"file\.csv.*'text'.*first row"):
        read("file.csv", "text,labels,text\na,b,c\n")


def test_multiline_fields_count_as_one_row(read: Read) -> None:
    table = read("file.csv", 'text,labels\n"one\n\nmore\n",a\ntwo,b\n')
    assert table.columns["text"] == ["one\n\nmore\n", "two"]
    assert table.locations[1] == "file.csv, row 3"


def test_blank_lines_are_skipped_and_counted(read: Read) -> None:
    table = read("file.csv", "text,labels\n\none,a\n\n\ntwo,b\n")
    assert table.columns["text"] == ["one", "two"]
    assert table.numbers == [3, 6]


@pytest.mark.parametrize("quoted", ["old\r", "\rold", "old\r\n", "old\rMac"])
def test_line_ends_inside_quotes_are_kept(quoted: str, read: Read) -> None:
    table = read("file.csv", f'text,labels\r\n"{quoted}",a\r\nb,"{quoted}"\r\n')
    assert table.columns == {"text": [quoted, "b"], "labels": ["a", quoted]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_separates_rows(end: str, read: Read) -> None:
    assert read("file.csv", end.join(["text,labels", "one,a", "two,b"])).columns["labels"] == ["a", "b"]


def test_text_above_the_csv_field_size_limit_is_read(read: Read) -> None:
    long_text = "word " * 50_000
    assert read("file.csv", f"text,labels\n{long_text},a\n").columns["text"] == [long_text]


def test_rows_of_wrong_width_are_reported_as_problems(read: Read) -> None:
    table = read("file.csv", "text,labels\none,a\ntwo, or more,b\nthree\nfour,d\n")
    assert table.columns == {"text": ["one", "four"], "labels": ["a", "d"]}
    assert table.numbers == [2, 5]
    assert [(problem.place, problem.outcome) for problem in table.problems] == [
        ("file.csv, row 3", "stops"),
        ("file.csv, row 4", "stops"),
    ]
    assert "3 fields" in table.problems[0].message
    assert "1 field" in table.problems[1].message


@pytest.mark.parametrize("data", ["", "\n\n", "\ufeff"])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_empty_file_is_reported_as_empty(suffix: str, data: str, read: Read) -> None:
    with pytest.raises(UserError, match=rf"file\.{suffix}: .*empty"):
        read(f"file.{suffix}", data)


def test_header_only_file_gives_no_rows(read: Read) -> None:
    assert read("file.csv", "text,labels\n").columns == {"text": [], "labels": []}


# --- columns that nothing uses ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "data",
    [
        pytest.param("text,labels,,\none,a,,\ntwo,b,,\n", id="two without name and values"),
        pytest.param("text,labels,\none,a,\ntwo,b,\n", id="one without name and values"),
        pytest.param("note,text,note,labels,note\n1,one,2,a,3\n1,two,2,b,3\n", id="a name that occurs three times"),
        pytest.param(",text,,labels\n0,one,x,a\n1,two,y,b\n", id="indexes without a name"),
    ],
)
def test_columns_that_nothing_uses_are_left_out(data: str, read: Read) -> None:
    table = read("file.csv", data, USED)
    assert table.values == [{"text": "one", "labels": "a"}, {"text": "two", "labels": "b"}]
    assert table.problems == []


def test_repeated_name_stops_only_if_the_column_is_used(read: Read) -> None:
    data = "text,labels,note,note\none,a,1,2\n"
    assert read("file.csv", data, USED).values == [{"text": "one", "labels": "a"}]
    with pytest.raises(UserError, match=r"'note' occurs twice in the first row.*data\.labels\.kind=names"):
        read("file.csv", data, [*USED, "note"])


def test_values_of_a_name_that_may_be_repeated_are_a_list(read: Read) -> None:
    data = "labels,text,labels,labels\na,one,b,\n,two,,\n"
    table = read("file.csv", data, USED, repeated=("labels",))
    assert table.values == [{"text": "one", "labels": ["a", "b", ""]}, {"text": "two", "labels": ["", "", ""]}]
    assert read("file.csv", "labels,text\na,one\n", USED, repeated=("labels",)).values[0]["labels"] == ["a"]


def test_value_below_a_missing_name_is_no_record(read: Read) -> None:
    """An unquoted comma moves the values: the label of row 4 is in a column that has no name."""
    table = read("file.csv", "text,labels,\none,a,\ntwo,b,\ntwo, or three,b\n", USED)
    assert table.columns["text"] == ["one", "two"]
    assert "row 4: column 3 has no name, but holds 'b'" in table.message


def test_columns_without_a_name_are_counted(read: Read, tmp_path: Path) -> None:
    read("file.csv", "text,labels,,\none,a,,\n", USED)
    [note] = open_rows(tmp_path / "file.csv", "file.csv", Dialect(), USED).notes
    assert (note.outcome, note.message) == ("kept", "2 columns without a name and without values")


def test_column_of_values_without_a_name_is_left_out(read: Read) -> None:
    table = read("file.csv", "text,labels,\none,a,note\ntwo,b,\nthree,a,other\n", USED)
    assert table.columns["text"] == ["one", "two", "three"]
    assert table.problems == []


def test_columns_below_a_path_are_read(read: Read) -> None:
    assert read("file.csv", "data,more\na,b\n", ["data.text"]).values == [{"data": "a"}]


# --- rows that are no records -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "header", ["text,labels", "\ufefftext,labels", '\ufeff"text",labels', '"text","labels"'], ids=repr
)
def test_row_that_repeats_the_header_is_no_record(header: str, read: Read) -> None:
    table = read("file.csv", f"text,labels\none,a\n{header}\ntwo,b\n", USED)
    assert table.columns["text"] == ["one", "two"]
    assert table.message.startswith("file.csv, row 3: repeats the header")


def test_first_row_may_recur_in_a_file_without_header(read: Read) -> None:
    table = read("file.csv", "one,a\ntwo,b\none,a\n", header=False)
    assert table.columns["1"] == ["one", "two", "one"]


# --- dialects ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "dialect"),
    [
        ('text;labels\n"one; two, three";a\n', {"separator": ";"}),
        ("text|labels\none; two, three|a\n", {"separator": "|"}),
        ("text\tlabels\none; two, three\ta\n", {"separator": "\t"}),
        ("text\tlabels\none; two, three\ta\n", {"separator": r"\t"}),
        ('sep=;\ntext;labels\n"one; two, three";a\n', {}),
        ('"sep=|"\r\ntext|labels\r\none; two, three|a\r\n', {}),
        ('SEP=,\ntext,labels\n"one; two, three",a\n', {}),
        ("sep=;\ntext|labels\none; two, three|a\n", {"separator": "|"}),
        ("text,labels\n'one; two, three',a\n", {"quote": "'"}),
        ('text, labels\n"one; two, three", a\n', {"skip_initial_space": True}),
        ('A title\n"with a quote\n\ntext,labels\n"one; two, three",a\n', {"skip_rows": 3}),
        ('# by "hand"\ntext,labels\n#,"\n"one; two, three",a\n', {"comment": "#"}),
        ('// skipped\n// too\ntext,labels\n"one; two, three",a\n', {"comment": "//", "skip_rows": 1}),
    ],
)
def test_configured_dialect_is_read(data: str, dialect: dict[str, Any], read: Read) -> None:
    table = read("file.csv", data, USED, **dialect)
    assert table.values == [{"text": "one; two, three", "labels": "a"}]
    assert table.locations == [f"file.csv, row {len(data.splitlines())}"]


def test_comment_within_a_quoted_text_is_text(read: Read) -> None:
    table = read("file.csv", 'text,labels\n"one\n# no comment",a\n', comment="#")
    assert table.columns["text"] == ["one\n# no comment"]


@pytest.mark.parametrize("escape", ["\\", r"\\"])
def test_escaped_quotation_marks_are_read(escape: str, read: Read) -> None:
    table = read("file.csv", 'text,labels\n"he said \\"no\\", twice",a\n"a ""b""",b\n', escape=escape)
    assert table.columns["text"] == ['he said "no", twice', 'a "b"']


def test_quotation_marks_belong_to_the_text_where_nothing_is_quoted(read: Read) -> None:
    rows = ['"forest zipper', 'bridge 27"', '"saddle" ribbon', '""', 'a "b']
    table = read("file.tsv", "text\tlabels\n" + "".join(f"{row}\tx\n" for row in rows), quote=None)
    assert table.columns["text"] == rows


@pytest.mark.parametrize(
    ("name", "data", "key"),
    [
        ("a.csv", "id;text;labels\n1;one, two;a\n", 'data.separator=";"'),
        ("a.csv", 'text|labels|a, b\n"one"|a|\n', 'data.separator="|"'),
        ("a.csv", "id\ttext\tlabels\n1\tone\ta\n", "data.format=tsv"),
        ("a.tsv", "id,text,labels\n1,one,a\n", 'data.separator=","'),
        ("a.csv", '"id";"text";"labels"\n"1";"one, two";"a"\n', 'data.separator=";"'),
        ("a.csv", '"id"\t"text"\t"labels"\n"1"\t"one"\t"a"\n', 'data.separator="\\t"'),
        ("a.csv", "nothing;here\n1;2\n", 'data.separator=";"'),
        ("a.csv", "Export\nof May\n\nid,text,labels\n1,one,a\n", "data.skip_rows=3"),
        ("a.csv", "Export\nid;text;labels\n1;one;a\n", "data.skip_rows=1"),
        ("a.csv", "Export\nid;text;labels\n1;one;a\n", 'data.separator=";"'),
        ("a.csv", "Export, of May, by hand\nid,text,labels\n1,one,a\n", "data.skip_rows=1"),
        ("a.csv", "id, text, labels\n1, one, a\n", "data.skip_initial_space=true"),
        ("a.csv", '{"text": "one"}\n{"text": "two"}\n', "data.format=jsonl"),
        ("a.csv", '[{"text": "one", "labels": []}]\n', "data.format"),
    ],
)
def test_header_in_another_dialect_names_the_key(name: str, data: str, key: str, read: Read) -> None:
    with pytest.raises(UserError) as caught:
        read(name, data, USED)
    assert name in str(caught.value)
    assert key in str(caught.value)


def test_missing_column_alone_is_no_reason_to_refuse_a_dialect(read: Read) -> None:
    assert read("a.csv", "id,txt,labels\n1,one,a\n", USED).names == ["id", "txt", "labels"]


@pytest.mark.parametrize(
    ("data", "key"),
    [
        pytest.param('text,labels\none,a\n"two,b\n', "data.quote=null", id="a quote that is never closed"),
        pytest.param('text,labels\none,a\n"two" more,b\n', "data.quote=null", id="text after a closing quote"),
        pytest.param('text,labels\none,a\n"a \\"b\\" c",b\n', 'data.escape="\\\\"', id="a backslash before a quote"),
    ],
)
def test_invalid_quoting_error_names_row_and_key(data: str, key: str, read: Read) -> None:
    with pytest.raises(UserError, match=r"file\.csv, after row 2") as caught:
        read("file.csv", data)
    assert key in str(caught.value)


@pytest.mark.parametrize(
    "lines",
    [
        ['1\t"forest zipper\ta', '2\tbridge 27"\tb'],
        ['1\t"forest\ta', "2\tsaddle\tb", '3\tbridge"\ta'],
        ['"1\tforest\ta', '2"\tbridge\tb'],
    ],
)
def test_rows_of_unquoted_tsv_are_never_merged_silently(lines: list[str], read: Read) -> None:
    data = "\n".join(["id\ttext\tlabels", "0\tone\ta", *lines, "9\ttwo\tb"]) + "\n"
    table = read("file.tsv", data)
    assert table.columns["text"] == ["one", "two"]
    assert "row 3" in table.message
    assert "data.quote=null" in table.message
    assert len(read("file.tsv", data, quote=None).rows) == len(lines) + 2


def test_quoted_reading_of_tsv_can_be_confirmed(read: Read) -> None:
    data = 'text\tlabels\n"one\tand\ntwo"\ta\n'
    assert "data.format=csv" in read("file.tsv", data).message
    confirmed = read("file.tsv", data, format=Format.csv, separator="\t")
    assert confirmed.columns["text"] == ["one\tand\ntwo"]


def test_lines_and_tabs_in_quoted_tsv_are_read(read: Read) -> None:
    table = read("file.tsv", 'id\ttext\tlabels\n1\t"two\nlines and\ttabs"\ta\n')
    assert table.columns["text"] == ["two\nlines and\ttabs"]


@pytest.mark.parametrize("start", ["#", "//", "--"])
def test_comment_of_another_width_names_the_key(start: str, read: Read) -> None:
    lines = f"text,labels\n{start} by hand\n{start[0]}one,a\n"
    assert f'data.comment="{start}"' in read("file.csv", lines).message


@pytest.mark.parametrize(
    ("dialect", "keys"),
    [
        ({"skip_rows": 9}, ["data.skip_rows"]),
        ({"comment": "t"}, ["data.comment"]),
        ({"comment": "o", "skip_rows": 1}, ["data.skip_rows", "data.comment"]),
    ],
)
def test_keys_that_skip_every_row_are_named(dialect: dict[str, Any], keys: list[str], read: Read) -> None:
    with pytest.raises(UserError) as caught:
        read("file.csv", "text\none\n" if len(keys) > 1 else "text\ntwo\n", **dialect)
    assert all(key in str(caught.value) for key in keys)
    assert "empty" not in str(caught.value)


def test_quoted_rows_are_numbered_as_a_spreadsheet_shows_them(read: Read) -> None:
    table = read("file.csv", 'sep=,\ntext,labels\n"one\ntwo",a\n\nthree,b\n')
    assert table.numbers == [3, 5]


def test_wrong_width_of_merged_rows_names_the_quote(read: Read) -> None:
    table = read("file.csv", 'id,text,labels\n1,"one,a\n2,two",x,b\n')
    assert "row 2: 4 fields" in table.message
    assert "data.quote=null" in table.message


def test_wrong_width_after_an_escaped_quote_names_the_escape(read: Read) -> None:
    table = read("file.csv", 'id,text,labels\n1,"one \\", two,b\n')
    assert 'data.escape="\\\\"' in table.message


@pytest.mark.parametrize(
    "dialect", [{"separator": "||"}, {"separator": ""}, {"quote": "''"}, {"escape": "ab"}], ids=repr
)
def test_dialect_of_several_characters_is_rejected(dialect: dict[str, str], read: Read) -> None:
    with pytest.raises(UserError, match=r"data\.separator.*data\.quote.*data\.escape.*one character"):
        read("file.csv", "text,labels\none,a\n", **dialect)


# --- arbitrary texts --------------------------------------------------------------------------------------------------
@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(CELLS, max_size=5),
    separator=st.sampled_from(",;|\t"),
    quote=st.sampled_from("\"'"),
)
def test_any_text_survives_in_any_dialect(
    texts: list[str], separator: str, quote: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [["text", "labels"], *([text, "a"] for text in texts)]
    data = to_csv(rows, delimiter=separator, quotechar=quote, quoting=csv.QUOTE_ALL)
    read = make_reader(tmp_path_factory.mktemp("any"))
    table = read("file.csv", data, separator=separator, quote=quote)
    assert table.columns == {"text": texts, "labels": ["a"] * len(texts)}


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.text(st.sampled_from('" ab\\') | st.characters(codec="utf-8", exclude_categories=["Cc"]))))
def test_unquoted_tsv_is_read_completely_or_refused(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """No row disappears without a problem, whatever quotation marks the texts have."""
    lines = [f"{number}\t{text}\ta" for number, text in enumerate(texts)]
    data = "\n".join(["id\ttext\tlabels", *lines]) + "\n"
    read = make_reader(tmp_path_factory.mktemp("any"))
    try:
        table = read("file.tsv", data)
        message = str(table.problems) if len(table.rows) < len(texts) else "data.quote=null"
    except UserError as error:
        message = str(error)
    assert "data.quote=null" in message or "data.escape" in message
    assert read("file.tsv", data, quote=None).columns["text"] == texts
