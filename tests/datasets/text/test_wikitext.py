import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.datasets.text.wikitext import plain_text

ARTICLE = """{{Short description|City}}
{{Infobox settlement
| name = Rome
| map  = {{Location map|{{#if:{{{1|}}}|x}}}}
}}
[[File:Rome.jpg|thumb|200px|The [[Tiber]] in [[Rome|the city]]]]
'''Rome''' ([[Latin]] and {{lang|it|Roma}} ''Roma'') is the [[capital city|capital]] of [[Italy]].<ref name="a">{{cite
|x=1}}</ref> It has 2.8&nbsp;million<ref name=b /> [[inhabitant]]s &amp; a [https://example.org/map map].<!-- not
shown -->

{| class="wikitable"
! Year !! Number
|-
| 1900 || {{formatnum:422}}
|}

== History ==
* Founded in 753&nbsp;BC
* Sacked in 410: see [[:Category:Sieges|the sieges]]
<nowiki>[[not a link]] ''nor quotes''</nowiki><br/>below <math>x^2</math>
----
__NOTOC__
[[Category:Rome| ]] [[de:Rom]]
"""
SHOWN = """Rome (Latin and Roma) is the capital of Italy. It has 2.8 million inhabitants & a map.

History

Founded in 753 BC
Sacked in 410: see the sieges
[[not a link]] ''nor quotes''
below"""


def test_an_article_becomes_what_a_reader_sees_of_its_prose():
    assert plain_text(ARTICLE) == SHOWN


@pytest.mark.parametrize(
    ("wikitext", "shown"),
    [
        ("a{{b|{{c}}|d}}e", "ae"),
        ("{{{1|{{x}}}}}a{{{b}}}", "a"),
        ("{{a {{{b}}} }}c", "c"),
        ("{{{{a}}b}}c", "c"),
        ("x {{ y", "x {{ y"),
        ("x }} y", "x }} y"),
        ("[[a|b]] [[c", "b [[c"),
        ("[[a]] ]]", "a ]]"),
        ("[[Datei:a.png|mini|Ein [[Bild]]]]b", "b"),
        ("[[ファイル:a.png|thumb]][[Category:X]]z", "z"),
        ("[[Help:Files|files]] [[Foo: bar]]", "files Foo: bar"),
        ("[[#History|below]] [[A (b)|A]]", "below A"),
        ("'''''bold italic''''' don't", "bold italic don't"),
        ("=== A = B ===\ntext", "A = B\n\ntext"),
        ("[http://x.org] [//x.org b c] [note]", "b c [note]"),
        ("a<ref>b</ref>c<ref/>d<references />e", "acde"),
        ("a<ref>never closed", "anever closed"),
        ("a<!-- b", "a"),
        ("<b>x</b><span style='a'>y</span> 1 < 2 > 1", "xy 1 < 2 > 1"),
        ("&lt;ref&gt;x &#12354; &#x3042; &unknown;", "<ref>x あ あ &unknown;"),
        ("{|\n|a\n{|\n|b\n|}\n|}c", "c"),
        ("<syntaxhighlight lang=c>int {{a}};</syntaxhighlight>b", "b"),
        ("<pre>a {{b}} [[c]]</pre>", "a {{b}} [[c]]"),
        ("# one\n## two\n: three", "one\ntwo\nthree"),
        ("İ" * 8 + "<ref>b</ref>c>d", "İ" * 8 + "c>d"),
        ("", ""),
    ],
)
def test_each_construct_becomes_what_is_shown_of_it(wikitext, shown):
    assert plain_text(wikitext) == shown


PIECES = st.sampled_from(
    ["{{", "}}", "{{{", "}}}", "[[", "]]", "{|", "|}", "\n", "|", "<ref>", "</ref>", "<ref/>", "<!--", "-->",
     "<nowiki>", "</nowiki>", "==", "''", "'''", "[http://a ", "]", "a b", "&amp;", "&#9;", "File:", "*", "<", ">"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40))
def test_no_order_of_marks_is_refused(pieces):
    plain_text("".join(pieces))


@given(st.text(alphabet=st.characters(exclude_characters="{}[]<>&'=*#:;_-|", exclude_categories=["C", "Z"])))
def test_text_without_marks_stays(text):
    assert plain_text(text) == text


@pytest.mark.parametrize(
    "mark", ["{{", "[[", "{{{", "<ref>", "<ref ", "<!--", "[http://a ", "[http://a" + " " * 9, "'", "=", "\n{|", "&#9",
             "]]", "}}", "[[a|", "<nowiki>", "= ", "__A", "<", "\u00a0"]
)  # fmt: skip
def test_a_mark_repeated_100_000_times_is_read_where_a_quadratic_reader_would_hang(mark):
    assert isinstance(plain_text("a" + mark * 100_000), str)


def test_a_number_of_many_digits_is_no_character():
    assert plain_text("a&#" + "9" * 5000 + ";b") == "a\ufffdb"
