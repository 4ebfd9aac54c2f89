"""Downloads from an https server on the loopback: whole, resumed, cut, damaged, too large, redirected."""

import hashlib
import http.server
import ssl
import subprocess
import threading

import pytest

from spikeloom.datasets.download import Archive, fetch, provide
from spikeloom.errors import DataError, StorageError

CONTENT = bytes(range(256)) * 5000
MD5 = "md5:" + hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        begin = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if self.path in ("/http", "/file", "/loop"):
            target = {"/http": "http://127.0.0.1:9/x", "/file": "file:///etc/passwd", "/loop": "/loop"}[self.path]
            self.answer(302, b"", Location=target)
        elif self.path == "/missing":
            self.answer(404, b"")
        elif begin >= len(CONTENT):
            self.answer(416, b"")
        elif begin and self.path != "/whole":
            span = f"bytes {begin}-{len(CONTENT) - 1}/{len(CONTENT)}"
            self.answer(206, CONTENT[begin:], **{"Content-Range": span})
        elif self.path == "/cut":
            self.answer(200, CONTENT, sent=len(CONTENT) // 2)
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONTENT)
            self.close_connection = True
        elif self.path == "/moved":
            self.answer(302, b"", Location="/good")
        else:
            self.answer(200, CONTENT[:-1] + b"?" if self.path == "/damaged" else CONTENT)

    def answer(self, code, content, sent=None, **headers):
        self.send_response(code)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:sent])
        self.close_connection = sent is not None

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    """A server that says nothing of clients that hang up."""

    def handle_error(self, request, client_address):
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An https server with a certificate of its own, and the context that trusts it."""
    folder = tmp_path_factory.mktemp("server")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    served = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    served.socket = context.wrap_socket(served.socket, server_side=True)
    served.asked = []
    served.trusted = ssl.create_default_context(cafile=certificate)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()


@pytest.fixture
def get(server, tmp_path):
    """Fetches a path of the server into the test's folder."""
    server.asked.clear()

    def fetched(path, checksum=MD5, most=1 << 22, progress=False):
        url = f"https://127.0.0.1:{server.server_port}{path}"
        archive = Archive(name="data.bin", url=url, checksum=checksum, most=most)
        return fetch(archive, tmp_path, progress=progress, context=server.trusted)

    return fetched


def files(folder):
    return {file.name for file in folder.iterdir()}


@pytest.mark.parametrize("path", ["/good", "/moved", "/endless"])
def test_a_whole_file_is_kept_under_its_name_and_not_fetched_again(path, get, server, tmp_path):
    assert get(path).read_bytes() == CONTENT
    n = len(server.asked)
    assert get(path) == tmp_path / "data.bin"
    assert len(server.asked) == n
    assert files(tmp_path) == {"data.bin"}


def test_a_bar_stands_on_standard_error_only_where_it_is_asked_for(get, tmp_path, capsys):
    get("/good")
    assert capsys.readouterr() == ("", "")
    (tmp_path / "data.bin").unlink()
    get("/good", progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "data.bin" in printed.err
    assert f"{len(CONTENT)} bytes" in printed.err


def test_a_download_that_broke_off_goes_on_where_it_ended(get, server, tmp_path):
    with pytest.raises(
        StorageError, match=f"broke off after 640000 of {len(CONTENT)} bytes; try again, or fetch https"
    ):
        get("/cut")
    assert files(tmp_path) == {"data.bin.part"}
    assert get("/cut").read_bytes() == CONTENT
    assert server.asked == [("/cut", None), ("/cut", "bytes=640000-")]


def test_a_server_that_cannot_resume_gives_the_file_anew(get, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:1000])
    assert get("/whole").read_bytes() == CONTENT


def test_a_part_that_is_the_whole_file_is_taken_and_a_longer_one_dropped(get, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    assert get("/good").read_bytes() == CONTENT
    (tmp_path / "data.bin").unlink()
    (tmp_path / "data.bin.part").write_bytes(CONTENT * 2)
    with pytest.raises(DataError, match="expected the md5"):
        get("/good")
    assert get("/good").read_bytes() == CONTENT


def test_a_part_of_another_file_is_found_out_by_the_checksum_and_dropped(get, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(b"\xff" * 1000)
    with pytest.raises(DataError, match=r"data.bin.part: expected the md5 \w{32}, got \w{32}; delete it and fetch"):
        get("/good")
    assert files(tmp_path) == set()
    assert get("/good").read_bytes() == CONTENT


def test_damaged_content_is_refused_and_removed(get, tmp_path):
    with pytest.raises(DataError, match="expected the md5"):
        get("/damaged")
    assert files(tmp_path) == set()


def test_a_file_that_lies_there_is_checked_too(get, tmp_path):
    (tmp_path / "data.bin").write_bytes(b"other")
    with pytest.raises(DataError, match=r"data\.bin: expected the md5"):
        get("/good")
    assert files(tmp_path) == {"data.bin"}


@pytest.mark.parametrize("path", ["/good", "/endless"])
def test_a_file_that_is_too_large_is_refused_whether_it_is_announced_or_not(path, get, tmp_path):
    with pytest.raises(DataError, match="expected at most 1000 bytes, got"):
        get(path, most=1000)
    assert not (tmp_path / "data.bin").exists()
    assert (tmp_path / "data.bin.part").stat().st_size == 0


@pytest.mark.parametrize("path", ["/http", "/file"])
def test_a_redirection_to_anything_but_https_is_refused(path, get):
    with pytest.raises((DataError, StorageError), match=r"expected an https address, got http:|is not allowed"):
        get(path)


def test_an_endless_redirection_ends(get):
    with pytest.raises(StorageError, match="infinite loop"):
        get("/loop")


def test_an_address_that_is_not_https_is_refused_before_anything_is_asked(tmp_path):
    for url in ("http://127.0.0.1:9/x", "file:///etc/passwd", "ftp://127.0.0.1/x"):
        with pytest.raises(DataError, match="expected an https address"):
            fetch(Archive(name="x", url=url, checksum=MD5, most=10), tmp_path)


def test_a_certificate_that_nobody_trusts_is_refused(server, tmp_path):
    url = f"https://127.0.0.1:{server.server_port}/good"
    with pytest.raises(StorageError, match="certificate verify failed"):
        fetch(Archive(name="x", url=url, checksum=MD5, most=1 << 22), tmp_path)


def test_a_server_that_says_no_or_is_not_there_is_named_with_the_place_for_the_file(get, tmp_path):
    with pytest.raises(StorageError, match=rf"/missing: 404 Not Found; try again, .* put it at {tmp_path}/data.bin"):
        get("/missing")
    with pytest.raises(StorageError, match=r"cannot fetch https://127.0.0.1:9/x: .*refused.* put it at"):
        fetch(Archive(name="x", url="https://127.0.0.1:9/x", checksum=MD5, most=10), tmp_path)


def test_two_processes_do_not_write_to_one_file(get, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / "data.bin.part").open("w+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(StorageError, match="written by another process"):
            get("/good")


def test_a_file_that_another_process_finished_meanwhile_is_left_alone(get, tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / "data.bin.part").write_bytes(CONTENT)

    def finished(file, how):
        (tmp_path / "data.bin.part").rename(tmp_path / "data.bin")

    monkeypatch.setattr(fcntl, "flock", finished)
    with pytest.raises(StorageError, match="finished by another process just now; call again"):
        get("/whole")
    assert get("/whole").read_bytes() == CONTENT


def test_data_that_are_there_are_neither_fetched_nor_asked_about(tmp_path):
    (tmp_path / "here").mkdir()
    archive = Archive(name="x.zip", url="https://127.0.0.1:9/x.zip", checksum=MD5, most=10)

    def asked(download):
        return provide(tmp_path, lambda folder: (folder / "here").is_dir(), [archive], owner="Set", expected="here",
                       download=download)  # fmt: skip

    assert asked(True) == asked(False) == tmp_path


def test_missing_data_tell_where_they_are_to_be_had_and_where_to_put_them(tmp_path):
    archive = Archive(name="x.zip", url="https://127.0.0.1:9/x.zip", checksum=MD5, most=10, by_hand=True)

    def asked(download):
        return provide(tmp_path, lambda folder: False, [archive], owner="Set", expected="the folder Train",
                       download=download)  # fmt: skip

    with pytest.raises(
        DataError, match=rf"Set.root '{tmp_path}' lacks the folder Train. .*x.zip from https://127.0.0.1:9"
    ):
        asked(False)
    with pytest.raises(StorageError, match=f"get it from https://127.0.0.1:9/x.zip, put it at {tmp_path}/x.zip"):
        asked(True)
