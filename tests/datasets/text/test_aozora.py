"""Small files in the true form: the notations are those of Aozora Bunko's list of annotations."""

import contextlib
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.dataloaders import AozoraBunkoLoader
from spikeloom.datasets.text.aozora_text import converted
from spikeloom.datasets.text.gaiji import character, from_jis, joined_accents
from spikeloom.errors import DataError, ParameterError

TEXT = """羅生門
芥川龍之介

-------------------------------------------------------
【テキスト中に現れる記号について】

《》：ルビ
（例）下人《げにん》

｜：ルビの付く文字列の始まりを特定する記号
（例）所々｜丹塗《にぬり》の剥《は》げた

［＃］：入力者注　主に外字の説明や、傍点の位置の指定
（例）※［＃「てへん＋劣」、第3水準1-84-77］
-------------------------------------------------------

［＃３字下げ］一［＃「一」は中見出し］

　ある日の暮方の事である。一人の下人《げにん》が、所々｜丹塗《にぬり》の剥《は》げた門の下で喉を掻き※［＃「てへん＋劣」、第3水準1-84-77］《むし》った。
［＃ここから２字下げ］
腹がへっても［＃「腹がへっても」に傍点］、※［＃「口＋世」、U+546D、12-3］※［＃「土へん＋竒」、12-3］。〔E'tude〕《エチュード》
［＃ここで字下げ終わり］
大空文庫［＃「※［＃「口＋世」、U+546D］」の注記］。くる／＼、くる／″＼。
［＃改ページ］
山城［＃（ノ）］國。［注］〔本全集〕※［＃始め二重山括弧、1-1-52］強※［＃終わり二重山括弧、1-1-53］



底本：「芥川龍之介全集1」ちくま文庫、筑摩書房
　　　1986（昭和61）年9月24日第1刷発行
入力：平山誠
"""
PLAIN = """一

　ある日の暮方の事である。一人の下人が、所々丹塗の剥げた門の下で喉を掻き挘った。
腹がへっても、呭〓。Étude
大空文庫。くる〳〵、くる〴〵。
山城國。［注］〔本全集〕《強》"""
READINGS = [("下人", "げにん"), ("丹塗", "にぬり"), ("剥", "は"), ("挘", "むし"), ("Étude", "エチュード")]

PAGE = """<?xml version="1.0" encoding="Shift_JIS"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="ja" >
<head>
	<meta http-equiv="Content-Type" content="text/html;charset=Shift_JIS" />
	<title>芥川龍之介 羅生門</title>
</head>
<body>
<div class="metadata">
<h1 class="title">羅生門</h1>
<h2 class="subtitle">下人の話</h2>
<h2 class="author">芥川龍之介</h2>
<br />
<br />
</div>
<div id="contents" style="display:none"></div><div class="main_text"><br />
<div class="jisage_3" style="margin-left: 3em"><h4 class="naka-midashi"><a class="midashi_anchor" id="midashi10">一</a></h4></div>
<br />
　一人の<ruby><rb>下人</rb><rp>（</rp><rt>げにん</rt><rp>）</rp></ruby>が、喉を掻き<ruby><rb><img src="../../../gaiji/1-84/1-84-77.png" alt="※(「てへん＋劣」、第3水準1-84-77)" class="gaiji" /></rb><rp>（</rp><rt>むし</rt><rp>）</rp></ruby>った。<br />
<em class="sesame_dot">腹がへっても</em>、<img src="../../../gaiji/1-09/1-09-32.png" alt="※(アキュートアクセント付きE)" class="gaiji" />tude※<span class="notes">［＃「土へん＋竒」、12-3］</span>&amp;<img class="illustration" src="a.png" alt="図" /><br />
</div>
<div class="bibliographical_information">
<hr />
<br />
底本：「芥川龍之介全集1」ちくま文庫、筑摩書房<br />
入力：平山誠<br />
</div>
</body>
</html>
"""  # noqa: E501


def file(folder, content, name="rashomon.txt", encoding="cp932"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.replace("\n", "\r\n").encode(encoding))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("aozora")


def test_a_text_loses_readings_and_notes_and_its_gaiji_become_characters(tmp_path):
    (work,) = AozoraBunkoLoader(file(tmp_path, TEXT))
    assert (work.title, work.text) == ("羅生門", PLAIN)
    assert work.metadata["author"] == "芥川龍之介"
    assert work.metadata["readings"] == READINGS
    assert work.metadata["colophon"].startswith("底本：「芥川龍之介全集1」ちくま文庫")
    assert work.metadata["colophon"].endswith("\n入力：平山誠")


def test_readings_are_kept_and_unknown_gaiji_removed_as_asked(tmp_path):
    (work,) = AozoraBunkoLoader(file(tmp_path, TEXT), readings="keep", gaiji="remove")
    assert "下人《げにん》が、所々丹塗《にぬり》の剥《は》げた" in work.text
    assert "、呭。Étude《エチュード》\n" in work.text
    assert work.metadata["readings"] == READINGS


def test_a_page_gives_the_same_and_its_notes_are_left_out(tmp_path):
    (work,) = AozoraBunkoLoader(file(tmp_path, PAGE, "rashomon.html"))
    assert work.title == "羅生門"
    assert work.text == "一\n\n　一人の下人が、喉を掻き挘った。\n腹がへっても、Étude※&"
    assert {"author": "芥川龍之介", "subtitle": "下人の話"}.items() <= work.metadata.items()
    assert work.metadata["readings"] == [("下人", "げにん"), ("挘", "むし")]
    assert work.metadata["colophon"] == "底本：「芥川龍之介全集1」ちくま文庫、筑摩書房\n入力：平山誠"
    (kept,) = AozoraBunkoLoader(file(tmp_path, PAGE, "rashomon.html"), readings="keep")
    assert "下人《げにん》が、喉を掻き挘《むし》った" in kept.text


def test_comments_instructions_and_unknown_elements_of_a_page_are_no_text(tmp_path):
    body = "a<?x y?>b<!-- c --><i日>d</i日><script>e</script><ruby><?x?><rb>f</rb><rt>g</rt></ruby>"
    (work,) = AozoraBunkoLoader(file(tmp_path, f'<div class="main_text">{body}</div>', "p.html"))
    assert work.text == "abdf"


def test_a_page_in_utf_8_says_so(tmp_path):
    page = PAGE.replace("Shift_JIS", "utf-8").replace("羅生門", "한국")
    assert next(iter(AozoraBunkoLoader(file(tmp_path, page, "k.html", "utf-8")))).title == "한국"
    assert next(iter(AozoraBunkoLoader(file(tmp_path, TEXT, "t.txt", "utf-8-sig")))).text == PLAIN


@pytest.mark.parametrize(
    ("source", "text", "readings"),
    [
        (
            "霧の｜ロンドン警視庁《スコットランドヤード》",
            "霧のロンドン警視庁",
            [("ロンドン警視庁", "スコットランドヤード")],
        ),
        (
            "〆切《しめきり》を市ヶ谷《いちがや》から",
            "〆切を市ヶ谷から",
            [("〆切", "しめきり"), ("市ヶ谷", "いちがや")],
        ),
        ("見たアジア《亜細亜》の", "見たアジアの", [("アジア", "亜細亜")]),
        ("the London《ロンドン》", "the London", [("London", "ロンドン")]),
        ("木※［＃「木＋靈」、第3水準1-86-29］子窓《れんじまど》の", "木欞子窓の", [("木欞子窓", "れんじまど")]),
        ("々《タツ※［＃二の字点、1-2-22］》", "々", [("々", "タツ〻")]),
        ("《ない》", "", [("", "ない")]),
        ("青空文庫［＃「青空文庫」の左に「あおぞらぶんこ」のルビ］", "青空文庫", []),
        ("未［＃「未」の左に「ザル」のルビ］［＃（ダ）］［＃レ］若", "未若", []),
        ("Ｂ29［＃「29」は縦中横］の", "Ｂ29の", []),
        ("［＃縦中横］（※［＃ローマ数字1、1-13-21］）［＃縦中横終わり］", "（Ⅰ）", []),
        ("［二十歳の 〔E'tude〕］", "［二十歳の Étude］", []),
        ("a［＃b", "a［＃b", []),
        ("a］b《c", "a］b《c", []),
        ("a［＃" + "x" * 2000 + "］b", "a［＃" + "x" * 2000 + "］b", []),
        ("\ufdd0《\ufddf》", "\ufffd", [("", "\ufffd")]),
    ],
)
def test_each_notation_is_taken_off(source, text, readings):
    found = []
    assert converted(source, "mark", False, found) == text
    assert found == readings


@pytest.mark.parametrize(
    ("note", "given"),
    [
        ("「てへん＋劣」、第3水準1-84-77", "挘"),
        ("二の字点、1-2-22", "〻"),
        ("ギリシア小文字ファイナルSIGMA、1-6-57", "ς"),
        ("「口＋世」、U+546D、ページ数-行数", "呭"),
        ("「やまいだれ＋隱」、第4水準2-81-77", "癮"),
        ("「土へん＋竒」、ページ数-行数", None),
        ("「土へん＋竒」、12-3", None),
        ("U+D800", None),
        ("U+110000", None),
        ("U+0007", None),
        ("3-1-1", None),
        ("11-2-22", None),
        ("1-2-222", None),
        ("1-95-1", None),
    ],
)
def test_a_gaiji_is_its_code_point_or_its_place_in_jis_x_0213(note, given):
    assert character(note) == given


def test_no_place_outside_of_the_planes_is_looked_up():
    assert from_jis(1, 0, 1) is from_jis(0, 1, 1) is from_jis(1, 1, 95) is None
    assert from_jis(1, 4, 2) == "あ"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("〔e'tiquette〕", "étiquette"),
        ("〔Die Humanita:t u:ber Go:tter, Stras&e〕", "Die Humanität über Götter, Straße"),
        ("〔C,a va, garc,on〕", "Ça va, garçon"),
        ("〔Sito^t qu'on le touche〕", "Sitôt qu'on le touche"),
        ("〔l'a^me d'E'tat〕", "l'âme d'État"),
        ("〔AE& ae& OE& oe& O/ o/ !@ ?@ A& n~ o_〕", "Æ æ Œ œ Ø ø ¡ ¿ Å ñ ō"),
        ("〔本全集第一巻〕", "〔本全集第一巻〕"),
        ("〔plain〕", "〔plain〕"),
    ],
)
def test_separated_accents_are_joined_within_their_brackets(source, text):
    assert joined_accents(source) == text


def test_a_zip_file_gives_each_work_in_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rashomon.txt", TEXT.replace("\n", "\r\n").encode("cp932"))
        archive.writestr("fig.png", b"x")
        archive.writestr("b/rashomon.html", PAGE.encode("cp932"))
    text, page = AozoraBunkoLoader(tmp_path)
    assert text.text == PLAIN
    assert page.source == f"{tmp_path / 'w.zip'}/b/rashomon.html"


@pytest.mark.parametrize(
    ("head", "people"),
    [
        ("題\n副題\n著者\n", {"subtitle": "副題", "author": "著者"}),
        (
            "題\nThe Title\nポー\n佐々木直次郎訳\n",
            {"subtitle": "The Title", "author": "ポー", "translator": "佐々木直次郎訳"},
        ),
        ("題\n", {}),
    ],
)
def test_the_lines_of_a_header_are_told_apart(tmp_path, head, people):
    (work,) = AozoraBunkoLoader(file(tmp_path, head + "\n本文《ほんぶん》\n\n底本：「x」"))
    assert (work.title, work.text) == ("題", "本文")
    assert {k: v for k, v in work.metadata.items() if k not in ("colophon", "readings")} == people


def test_a_text_without_header_is_all_text(tmp_path):
    (work,) = AozoraBunkoLoader(file(tmp_path, "一行目\n二行目\n", "plain.txt"))
    assert (work.title, work.text) == ("", "") or (work.title, work.text) == ("plain", "一行目\n二行目")


def test_what_is_no_page_and_bytes_that_are_no_shift_jis_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"n\.html: expected a page of Aozora Bunko"):
        list(AozoraBunkoLoader(file(tmp_path, "<html><body>x</body></html>", "n.html")))
    with pytest.raises(DataError, match=r"expected cp932 text, got the bytes 85 20 at 4"):
        list(AozoraBunkoLoader(file(tmp_path, "あい".encode("cp932") + b"\x85 ", "b.txt")))
    with pytest.raises(DataError, match="at most 10 bytes"):
        list(AozoraBunkoLoader(file(tmp_path, TEXT), max_bytes=10))
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.writestr("a.txt", TEXT)
    with pytest.raises(DataError, match=r"w\.zip/a\.txt: expected at most 1000 bytes"):
        list(AozoraBunkoLoader(tmp_path / "w.zip", max_bytes=1000))
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("a.png", b"x")
    with pytest.raises(DataError, match=r"expected a \.txt or \.html file in it"):
        list(AozoraBunkoLoader(tmp_path / "e.zip"))


@pytest.mark.parametrize("option", ["readings", "gaiji", "encoding", "normal_form", "max_bytes", "progress", "paths"])
def test_wrong_options_are_refused(option):
    with pytest.raises(ParameterError, match=f"AozoraBunkoLoader.{option}"):
        AozoraBunkoLoader(**{"paths": "a", option: [] if option == "paths" else "no such"})


@pytest.mark.parametrize(
    "mark", ["［＃", "《", "｜", "漢《", "〔", "［＃］", "｜漢《か》", "※［＃", "］", "〔e'", "漢"]
)
def test_a_sign_repeated_100_000_times_is_read_where_a_quadratic_reader_would_hang(mark):
    assert isinstance(converted(mark * 100_000, "mark", False, []), str)


@pytest.mark.parametrize("nest", ["<b>", "x<div>", "xyz<ruby>y<rt>z", "xyz<ruby><rb>"])
def test_elements_nested_without_end_are_refused(tmp_path, nest):
    page = '<div class="main_text">' + "a " * 3000 + nest * 2000
    with pytest.raises(DataError, match=r"n\.html: (elements nest deeper than 500|ruby nests deeper than 4)"):
        list(AozoraBunkoLoader(file(tmp_path, page, "n.html")))
    with pytest.raises(DataError, match="little but tags"):
        list(AozoraBunkoLoader(file(tmp_path, "<b>" * 10_000, "n.html")))


@settings(max_examples=30, deadline=None)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.integers(0, 10_000))
def test_a_changed_byte_or_a_cut_gives_works_or_a_data_error_and_nothing_else(folder, place, byte, cut):
    with zipfile.ZipFile(folder / "whole.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", TEXT.encode("cp932"))
    packed = (folder / "whole.zip").read_bytes()
    for content, name in ((TEXT.encode("cp932"), "a.txt"), (PAGE.encode("cp932"), "a.html"), (packed, "a.zip")):
        damaged = bytearray(content)
        damaged[place % len(content)] = byte
        for hurt in (bytes(damaged), content[: cut % len(content)]):
            with contextlib.suppress(DataError):
                assert all(isinstance(d.text, str) for d in AozoraBunkoLoader(file(folder, hurt, name)))


@given(
    st.lists(
        st.sampled_from(
            ["［＃", "］", "※", "《", "》", "｜", "漢", "か", "〔", "e'", "〕", "1-2-22", "、", "\n", "底本："]
        )
    )
)
def test_no_order_of_signs_is_refused(signs):
    for keep in (False, True):
        converted("".join(signs), "remove", keep, [])
