"""Readers of texts, captions, tables and neuron data on one hostile file, and valid files to begin with."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import data_set_files
import numpy as np

from spikeloom.datasets import (
    AozoraBunkoLoader,
    LocalFileLoader,
    WikipediaLoader,
    load_tokenizer,
    read_neuron_data,
    read_text_table,
    validate_captions,
)

MOST = 1 << 20
TEXT = """題
著者

　一人の下人《げにん》が、｜丹塗《にぬり》の※［＃「てへん＋劣」、第3水準1-84-77］［＃「一人」に傍点］〔e'tude〕／＼。

底本：「全集」
"""
PAGE = """<?xml version="1.0" encoding="Shift_JIS"?><html><body><h1 class="title">題</h1><h2 class="author">著者</h2>
<div class="main_text">一人の<ruby><rb>下人</rb><rp>（</rp><rt>げにん</rt><rp>）</rp></ruby>が、<br />
<img src="../gaiji/1-84/1-84-77.png" alt="※(「てへん＋劣」、第3水準1-84-77)" class="gaiji" /></div>
<div class="bibliographical_information">底本：「全集」</div></body></html>"""
DUMP = """<mediawiki><page><title>Rome</title><ns>0</ns><id>1</id><revision><model>wikitext</model>
<text>{{Box|a={{b}}}}'''Rome''' is a [[city|town]].&lt;ref&gt;x&lt;/ref&gt;
== H ==
{|
|a
|}
* [http://a b]</text></revision></page></mediawiki>"""
CHARACTERS = b'{"format": "spikeloom.characters", "version": 1, "unknown": true, "characters": "abc"}'
PAIRS = b'{"format": "spikeloom.byte_pairs", "version": 1, "special": ["<s>"], "merges": [["a", "b"], ["ab", "c"]]}'


def aozora(ending: str) -> Callable[[Path], None]:
    """Reads the file under a name with this ending."""

    def read(path: Path) -> None:
        named = path.with_suffix(ending)
        named.write_bytes(path.read_bytes())
        list(AozoraBunkoLoader(named, max_bytes=MOST))

    return read


READERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: LocalFileLoader(path, max_bytes=MOST).text(),
    "aozora-text": aozora(".txt"),
    "aozora-page": aozora(".html"),
    "aozora-zip": aozora(".zip"),
    "wikipedia-dump": lambda path: WikipediaLoader(dump=path, max_page=MOST).text(),
    "tokenizer": lambda path: load_tokenizer(path).encode("abc"),
    "captions-zip": lambda path: validate_captions(path),
    "text-table": lambda path: read_text_table(path, max_bytes=MOST),
    "neuron-data": lambda path: read_neuron_data(path, max_bytes=MOST),
    **data_set_files.READERS,
}


def valid(name: str) -> list[bytes]:
    """Valid files for a reader."""
    import bz2

    if name in data_set_files.READERS:
        return data_set_files.valid(name)
    made: dict[str, Callable[[], list[bytes]]] = {
        "text": lambda: [TEXT.encode(code) for code in ("utf-8", "cp932", "euc_jp", "utf-16")],
        "aozora-text": lambda: [TEXT.encode("cp932")],
        "aozora-page": lambda: [PAGE.encode("cp932")],
        "aozora-zip": lambda: [_zip({"a.txt": TEXT.encode("cp932"), "b.html": PAGE.encode("cp932")})],
        "wikipedia-dump": lambda: [DUMP.encode(), bz2.compress(DUMP.encode())],
        "tokenizer": lambda: [CHARACTERS, PAIRS],
        "captions-zip": _captions,
        "text-table": lambda: [b'text,label\n"a, ""b""",0\nc,1\n'],
        "neuron-data": _neuron_data,
    }
    return made[name]()


def _zip(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return memory.getvalue()


def _captions() -> list[bytes]:
    from PIL import Image

    found = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP"):
        memory = io.BytesIO()
        Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(memory, kind)
        found.append(_zip({"captions.csv": b"image_path,caption\nimages/a,x\n", "images/a": memory.getvalue()}))
    return found


def _neuron_data() -> list[bytes]:
    import torch

    memory = io.BytesIO()
    torch.save({"spikes": torch.eye(4, dtype=torch.int8), "membrane_potential": torch.eye(4)}, memory)
    return [memory.getvalue()]
