"""Against a server of this machine's own that answers as MediaWiki's documentation says."""

import contextlib
import gzip
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from itertools import pairwise
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.datasets import Document, WikipediaLoader
from spikeloom.datasets.text import wiki_api
from spikeloom.errors import DataError, ParameterError, StorageError

ARTICLES = {
    "Rome": (10, "Rome is a city.\n\n\nHistory\nLong."),
    "Milan": (11, "Milan is a city."),
    "Pisa": (12, "Pisa."),
}


class Wiki(BaseHTTPRequestHandler):
    """Answers questions from `script`, a list of (status, headers, body), and once that is empty as MediaWiki does."""

    def do_GET(self):
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.server.asked.append((asked, dict(self.headers), time.monotonic()))
        status, headers, body = self.server.script.pop(0) if self.server.script else (200, {}, answer(asked))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        if self.server.packed:
            content, headers = gzip.compress(content), {**headers, "Content-Encoding": "gzip"}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def answer(asked):
    if "list" in asked:
        name, key = asked["list"], {"random": "id"}.get(asked["list"], "pageid")
        ids = [number for number, _ in ARTICLES.values()]
        start = int(asked.get("from", 0))
        more = {"continue": {"from": start + 2, "continue": "-||"}} if start + 2 < len(ids) else {}
        return {**more, "query": {name: [{key: number, "ns": 0, "title": "t"} for number in ids[start : start + 2]]}}
    by_id = {str(number): title for title, (number, _) in ARTICLES.items()}
    title = asked.get("titles") or by_id[asked["pageids"]]
    if title == "Roma":
        title = "Rome"
    if title not in ARTICLES:
        return {"query": {"pages": [{"ns": 0, "title": title, "missing": True}]}}
    number, text = ARTICLES[title]
    known = {"pageid": number, "ns": 0, "title": title, "fullurl": f"https://en.wikipedia.org/wiki/{title}"}
    if title == "Pisa" and "excontinue" not in asked:
        return {"continue": {"excontinue": 1, "continue": "||"}, "query": {"pages": [known]}}
    return {"batchcomplete": True, "query": {"pages": [{**known, "extract": text}]}}


@pytest.fixture
def wiki():
    server = HTTPServer(("127.0.0.1", 0), Wiki)
    server.asked, server.script, server.packed = [], [], False
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def pauses(monkeypatch):
    """The pauses asked for, in s, none of which is made."""
    made = []
    monkeypatch.setattr(wiki_api, "_pause", lambda seconds: made.append(round(seconds, 3)) if seconds > 0 else None)
    return made


def loader(wiki, *titles, **options):
    settings = {"interval": 0.0, "base_url": f"http://127.0.0.1:{wiki.server_port}/w/api.php"} | options
    ways = ("category", "search", "random")
    return WikipediaLoader(**settings) if any(w in options for w in ways) else WikipediaLoader(list(titles), **settings)


def test_articles_come_by_title_one_request_each_and_only_when_taken(wiki):
    documents = iter(loader(wiki, "Rome", "Roma", "Milan"))
    known = {"page_id": 10, "language": "en"}
    rome = Document("Rome", "Rome is a city.\n\n\nHistory\nLong.", "https://en.wikipedia.org/wiki/Rome", known)
    assert next(documents) == rome
    assert len(wiki.asked) == 1
    assert next(documents).title == "Rome"
    asked = wiki.asked[0][0]
    wanted = {
        "action": "query",
        "format": "json",
        "maxlag": "5",
        "explaintext": "1",
        "redirects": "1",
        "titles": "Rome",
    }
    assert wanted.items() <= asked.items()


def test_the_user_agent_is_the_package_s_or_the_given_one(wiki):
    list(loader(wiki, "Rome"))
    list(loader(wiki, "Rome", user_agent="corpus/1.0 (me@example.org)"))
    agents = [headers["User-Agent"] for _, headers, _ in wiki.asked]
    assert agents[0].startswith(f"spikeloom/{version('spikeloom')} ")
    assert agents[1] == "corpus/1.0 (me@example.org)"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("way", ["category", "search"])
def test_lists_are_continued_to_their_end(wiki, way, packed):
    wiki.packed = packed
    found = loader(wiki, **{way: "Cities"})
    assert [d.title for d in found] == ["Rome", "Milan", "Pisa"]
    lists = [asked for asked, _, _ in wiki.asked if "list" in asked]
    assert [asked.get("from") for asked in lists] == [None, "2"]
    assert lists[0].get("cmtitle", lists[0].get("srsearch")) in ("Category:Cities", "Cities")


def test_random_articles_are_as_many_as_asked_for(wiki):
    assert [d.title for d in loader(wiki, random=3)] == ["Rome", "Milan", "Pisa"]
    assert [d.title for d in loader(wiki, random=1)] == ["Rome"]


def test_a_text_that_comes_with_a_continuation_is_waited_for(wiki):
    (pisa,) = loader(wiki, "Pisa")
    assert pisa.text == "Pisa."


def test_requests_keep_their_distance(wiki):
    list(loader(wiki, "Rome", "Milan", "Rome", interval=60.0))
    times = [when for _, _, when in wiki.asked]
    assert all(b - a > 0.05 for a, b in pairwise(times))


def test_a_busy_server_is_asked_again_after_the_time_it_names_else_after_twice_the_time(wiki, pauses):
    lag = {"error": {"code": "maxlag", "info": "Waiting for a host: 6 seconds lagged"}}
    wiki.script = [(429, {"Retry-After": "7"}, b""), (200, {"Retry-After": "5"}, lag), (503, {}, b""), (500, {}, b"")]
    (rome,) = loader(wiki, "Rome")
    assert rome.title == "Rome"
    assert pauses == [7, 5, 4, 8]
    assert len(wiki.asked) == 5


def test_a_server_that_stays_busy_or_wants_hours_is_an_error(wiki, pauses):
    wiki.script = [(503, {}, b"")] * 6
    with pytest.raises(StorageError, match=r"still busy after 6 tries \(HTTP 503"):
        list(loader(wiki, "Rome"))
    assert pauses == [1, 2, 4, 8, 16]
    wiki.script = [(429, {"Retry-After": "86400"}, b"")]
    with pytest.raises(StorageError, match="asks to wait 86400 s"):
        list(loader(wiki, "Rome"))
    wiki.script = [(404, {}, b"")]
    with pytest.raises(StorageError, match="got HTTP 404"):
        list(loader(wiki, "Rome"))


def test_a_date_is_a_time_to_wait_too():
    headers = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert wiki_api._retry_after(headers) == 0
    assert wiki_api._retry_after({"Retry-After": "soon"}) is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "expected JSON, got b'<html>'"),
        (b"[]", "expected a JSON object, got list"),
        (b"[" * 60_000, "expected JSON"),
        ({"error": {"code": "badvalue", "info": "no"}}, r"refuses the question \(badvalue: no\)"),
        ({"query": 3}, "expected an object as 'query'"),
        ({"query": {"pages": {}}}, "expected a list of objects"),
        ({"query": {"pages": [{"title": "Rome", "extract": 3}]}}, "has no text"),
        ({"query": {"pages": [{"title": "Rome", "extract": "x" * 2000}]}}, "of at most 1000 characters"),
        (b" " * 70_000, "at most 65536 bytes"),
    ],
)
def test_an_answer_of_another_form_is_refused(wiki, body, message):
    wiki.script = [(200, {}, body)]
    with pytest.raises(DataError, match=message) as caught:
        list(loader(wiki, "Rome", max_bytes=1 << 16, max_page=1000))
    assert "127.0.0.1" in str(caught.value)


def test_a_packed_answer_is_not_unpacked_beyond_the_limit(wiki):
    wiki.packed, wiki.script = True, [(200, {}, b" " * 50_000_000)]
    with pytest.raises(DataError, match="at most 65536 bytes"):
        list(loader(wiki, "Rome", max_bytes=1 << 16))


def test_a_server_that_continues_with_the_same_for_ever_is_an_error(wiki):
    wiki.script = [(200, {}, {"continue": {"x": 1}, "query": {"search": []}})] * 3
    with pytest.raises(DataError, match="another continuation"):
        list(loader(wiki, search="x"))


def test_a_missing_title_is_an_error_or_skipped_as_asked(wiki):
    with pytest.raises(DataError, match="there is no article 'Atlantis'; missing='skip'"):
        list(loader(wiki, "Atlantis"))
    assert [d.title for d in loader(wiki, "Atlantis", "Rome", missing="skip")] == ["Rome"]


def test_the_cache_answers_the_second_time_and_is_not_trusted_when_torn(wiki, tmp_path):
    first = list(loader(wiki, "Rome", "Pisa", cache=tmp_path / "c"))
    count = len(wiki.asked)
    assert list(loader(wiki, "Rome", "Pisa", cache=tmp_path / "c")) == first
    assert len(wiki.asked) == count
    for file in (tmp_path / "c").iterdir():
        file.write_bytes(file.read_bytes().replace(b"city", b"pity")[:-1] + b"}")
    assert list(loader(wiki, "Rome", cache=tmp_path / "c")) == first[:1]
    assert len(wiki.asked) == count + 1


def test_random_articles_are_drawn_anew_and_lists_are_kept(wiki, tmp_path):
    for way, lists in (("random", 2), ("category", 2)):
        for _ in range(2):
            list(loader(wiki, cache=tmp_path, **{way: 1 if way == "random" else "Cities"}))
        assert len([asked for asked, _, _ in wiki.asked if asked.get("list", "").startswith(way)]) == lists


def test_a_category_may_be_named_with_its_namespace(wiki):
    list(loader(wiki, category="Category:Cities"))
    assert wiki.asked[0][0]["cmtitle"] == "Category:Cities"


@pytest.mark.parametrize(
    "url",
    ["http://en.wikipedia.org/w/api.php", "ftp://127.0.0.1/", "file:///etc/passwd", "https://", "http://127.0.0.1.evil.org/",
     "http://[::1", "x", 3, "http://10.0.0.1/"],
)  # fmt: skip
def test_plain_http_is_for_this_machine_alone(url):
    with pytest.raises(ParameterError, match="base_url must"):
        WikipediaLoader("Rome", base_url=url)


def test_by_default_the_wikipedia_of_the_language_is_asked():
    assert WikipediaLoader("Rom", language="de")._api.address == "https://de.wikipedia.org/w/api.php"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://example.org/", "ftp://127.0.0.1/x"])
def test_a_redirection_elsewhere_is_not_followed(wiki, target):
    wiki.script = [(302, {"Location": target}, b"")]
    with pytest.raises((DataError, StorageError), match=r"redirection|HTTP 302"):
        list(loader(wiki, "Rome"))


def test_half_of_a_surrogate_pair_in_an_answer_is_no_text(wiki):
    page = {"pageid": 1, "title": "A\ud800", "extract": "b\udfff"}
    wiki.script = [(200, {}, {"query": {"pages": [page]}})]
    (document,) = loader(wiki, "A")
    assert (document.title, document.text) == ("A?", "b?")


@settings(max_examples=200)
@given(place=st.integers(0, 500), byte=st.integers(0, 255), cut=st.integers(0, 500))
def test_a_changed_byte_or_a_cut_in_an_answer_gives_a_document_or_our_error_and_nothing_else(place, byte, cut):
    body = json.dumps(answer({"titles": "Rome"})).encode()
    damaged = bytearray(body)
    damaged[place % len(body)] = byte
    for hurt in (bytes(damaged), body[: cut % len(body)]):
        with (
            patch.object(wiki_api.Api, "_fetched", return_value=(hurt, None)),
            contextlib.suppress(DataError, StorageError),
        ):
            assert all(isinstance(d, Document) for d in WikipediaLoader("Rome", interval=0.0, missing="skip"))


def test_a_server_out_of_reach_is_an_error(pauses):
    with pytest.raises(StorageError, match="still busy"):
        list(WikipediaLoader("Rome", base_url="http://127.0.0.1:9/", interval=0.0))


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]/x"])
def test_a_server_elsewhere_does_not_lead_to_this_machine(target):
    request = wiki_api.urllib.request.Request("https://en.wikipedia.org/w/api.php")
    with pytest.raises(DataError, match="redirection"):
        wiki_api._SameScheme().redirect_request(request, None, 302, "Found", {}, target)
