import bz2
import contextlib
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.datasets import Document, WikipediaLoader
from spikeloom.datasets.text import wiki_dump
from spikeloom.errors import DataError, ParameterError

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
  <siteinfo><sitename>Wikipedia</sitename><namespaces><namespace key="0" case="first-letter" /></namespaces></siteinfo>
"""


def page(title, number, text, *, ns=0, extra="", model="wikitext"):
    return f"""  <page>
    <title>{title}</title>
    <ns>{ns}</ns>
    <id>{number}</id>{extra}
    <revision>
      <id>{number + 1000}</id>
      <contributor><username>A</username><id>5</id></contributor>
      <model>{model}</model>
      <format>text/x-wiki</format>
      <text bytes="9" xml:space="preserve">{text}</text>
    </revision>
  </page>
"""


PAGES = [
    page("Rome", 10, "'''Rome''' is a [[city]] &amp; more.&lt;ref&gt;x&lt;/ref&gt;"),
    page("Roma", 11, "#REDIRECT [[Rome]]", extra='\n    <redirect title="Rome" />'),
    page("Talk:Rome", 12, "talk", ns=1),
    page("Module", 13, "return 1", model="Scribunto"),
    page("日本", 14, "'''日本'''は国。"),
]
DUMP = HEAD + "".join(PAGES) + "</mediawiki>\n"


def file(folder, content, name="d.xml"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def multistream():
    return b"".join(bz2.compress(part.encode()) for part in (HEAD, *PAGES, "</mediawiki>\n"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dump")


@pytest.mark.parametrize(
    "content", [DUMP.encode(), bz2.compress(DUMP.encode()), multistream()], ids=["xml", "bz2", "multi"]
)
def test_articles_of_a_dump_come_as_text_without_redirections_talk_and_modules(tmp_path, content):
    loader = WikipediaLoader(dump=file(tmp_path, content), language="ja")
    rome, japan = list(loader)
    assert rome == Document(
        "Rome", "Rome is a city & more.", str(tmp_path / "d.xml"), {"page_id": 10, "language": "ja"}
    )
    assert (japan.title, japan.text) == ("日本", "日本は国。")
    assert loader.text() == "Rome is a city & more.\n\n日本は国。"
    assert [d.title for d in loader.documents(1)] == ["Rome"]


def test_of_a_page_s_history_the_last_revision_counts(tmp_path):
    both = page("A", 1, "old").replace("  </page>", "<revision><id>9</id><text>new</text></revision></page>")
    (document,) = WikipediaLoader(dump=file(tmp_path, HEAD + both + "</mediawiki>"))
    assert document.text == "new"
    assert document.metadata["page_id"] == 1


def test_a_reading_goes_on_after_a_page(tmp_path):
    path = file(tmp_path, DUMP)
    assert [d.title for d in WikipediaLoader(dump=path, after_page=10)] == ["日本"]
    assert [d.title for d in WikipediaLoader(dump=path, after_page=14)] == []
    with pytest.raises(DataError, match="expected the page 99"):
        list(WikipediaLoader(dump=path, after_page=99))


def test_a_document_type_is_refused_before_its_entities_are_read(tmp_path):
    laughs = '<!DOCTYPE m [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><mediawiki>&b;</mediawiki>'
    with pytest.raises(DataError, match=r"d\.xml: expected no document type"):
        list(WikipediaLoader(dump=file(tmp_path, laughs)))
    outside = '<!DOCTYPE m SYSTEM "file:///etc/passwd"><mediawiki/>'
    with pytest.raises(DataError, match="no document type"):
        list(WikipediaLoader(dump=file(tmp_path, outside)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "fault at byte 0.*no element found"),
        (b"<html/>", "expected a MediaWiki dump, <mediawiki>, got <html>"),
        (DUMP[:-30].encode(), "fault at byte .*no element found|fault at byte .*unclosed"),
        (DUMP.replace("&amp;", "&nbsp;").encode(), "fault at byte .*undefined entity"),
        (DUMP.replace("</title>", "</name>").encode(), "mismatched tag"),
        (b"<mediawiki>" + b"<a>" * 40, "nest deeper than 32"),
        (b"<mediawiki><page a='" + b"x" * 3_000_000, "token of more than"),
        (b"BZh9" + b"x" * 50, "whole bzip2 file"),
        (bz2.compress(DUMP.encode())[:-40], "whole bzip2 file|fault at byte"),
    ],
)  # fmt: skip
def test_a_damaged_dump_is_refused_with_its_name_and_the_place(tmp_path, content, message):
    path = file(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        list(WikipediaLoader(dump=path))
    assert str(path) in str(caught.value)


def test_articles_before_the_damage_are_given(tmp_path):
    documents = iter(WikipediaLoader(dump=file(tmp_path, DUMP.replace("日本</title>", "日本</x>") + " " * 70_000)))
    with pytest.raises(DataError):
        next(documents)
    long = HEAD + PAGES[0] + page("B", 2, "b" * 70_000) + "<oops"
    documents = iter(WikipediaLoader(dump=file(tmp_path, long)))
    assert next(documents).title == "Rome"
    assert next(documents).title == "B"
    with pytest.raises(DataError):
        next(documents)


def test_memory_does_not_grow_with_the_dump_and_a_long_page_is_refused(tmp_path):
    many = HEAD + "".join(page(f"P{k}", k + 1, "word " * 3000) for k in range(60)) + "</mediawiki>"
    path = file(tmp_path, bz2.compress(many.encode()))
    tracemalloc.start()
    assert sum(1 for _ in WikipediaLoader(dump=path)) == 60
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(many) > 900_000 > 1.3 * peak
    path = file(tmp_path, HEAD + page("Long", 1, "x" * 5000) + "</mediawiki>")
    with pytest.raises(DataError, match=r"page/revision/text at byte \d+ is longer than 1000"):
        list(WikipediaLoader(dump=path, max_page=1000))


def test_a_bomb_is_not_unpacked_beyond_the_ratio(tmp_path, monkeypatch):
    monkeypatch.setattr(wiki_dump, "_FREE", 1 << 20)
    bomb = bz2.compress(HEAD.encode() + b" " * 40_000_000 + b"</mediawiki>")
    assert len(bomb) < 10_000
    with pytest.raises(DataError, match="unpacks to more than 1000 times its size"):
        list(WikipediaLoader(dump=file(tmp_path, bomb)))


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 5000), bit=st.integers(0, 7), cut=st.integers(0, 5000))
def test_a_flipped_bit_or_a_cut_gives_documents_or_a_data_error_and_nothing_else(folder, place, bit, cut):
    for content in (DUMP.encode(), multistream()):
        damaged = bytearray(content)
        damaged[place % len(content)] ^= 1 << bit
        for hurt in (bytes(damaged), content[: cut % len(content)]):
            with contextlib.suppress(DataError):
                assert all(isinstance(d, Document) for d in WikipediaLoader(dump=file(folder, hurt)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one of titles, category, search, random, dump, got none"),
        ({"titles": "A", "dump": "b"}, "got titles and dump"),
        ({"titles": "A", "after_page": 3}, "after_page resumes the reading of a dump"),
        ({"titles": ["A|B"]}, r"without '\|'"),
        ({"random": 0}, "random must be an integer of at least 1"),
        ({"titles": "A", "language": "en.evil.org/"}, "language must be a code"),
        ({"titles": "A", "interval": -1}, "interval must be a time in ms"),
        ({"titles": "A", "user_agent": "a\r\nX: b"}, "user_agent must be printable"),
        ({"titles": "A", "missing": "ignore"}, "missing must be 'error' or 'skip'"),
        ({"dump": "d", "normal_form": "NFD"}, "normal_form must be 'NFC', 'NFKC' or None"),
        ({"category": " "}, "category must be a text"),
        ({"search": "a\ud800"}, "search must be a text"),
        ({"titles": ["a", "\udfff"]}, "titles must be titles"),
        ({"titles": [3]}, "titles must be titles"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        WikipediaLoader(**options)


def test_a_dump_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="there is none"):
        list(WikipediaLoader(dump=tmp_path / "none.xml"))
