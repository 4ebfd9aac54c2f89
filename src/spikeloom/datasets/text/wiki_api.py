"""Questions to the API of a MediaWiki, asked politely: one at a time, with a pause, and waiting when told to.

Source: mediawiki.org, API:Etiquette, API:Query (continuation), Manual:Maxlag parameter; RFC 9110, 10.2.3 (Retry-After).
"""

from __future__ import annotations

import hashlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ...errors import DataError, ParameterError, StorageError
from ...storage import write_atomically

RETRIES = 5
MAX_WAIT = 600_000.0
"""The longest pause in ms that a server may ask for."""
MAX_ROUNDS = 100_000
_BUSY = frozenset({429, 500, 502, 503, 504})
_TRY_AGAIN = frozenset({"maxlag", "ratelimited", "readonly", "internal_api_error_DBQueryError"})
_CHUNK = 1 << 16


class _Busy(Exception):  # noqa: N818
    """The server asks to come again, after so many ms where it says so."""

    def __init__(self, why: str, wait: float | None) -> None:
        super().__init__(why)
        self.wait = wait


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows a redirection where the address could have been given at the start, to this machine only from itself."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        try:
            check_address(newurl)
            refused = _is_near(newurl) and not _is_near(req.full_url)
        except ParameterError:
            refused = True
        if refused:
            raise DataError(f"{req.full_url}: expected an answer, got a redirection to {newurl!r:.200}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass
class Api:
    """The API at an address. `interval` is the least time in ms from one request to the next, `timeout` in ms."""

    address: str
    user_agent: str
    interval: float
    timeout: float
    max_bytes: int
    cache: Path | None = None
    _last: float = field(default=-1e9, init=False)

    def query(self, parameters: Mapping[str, str], *, kept: bool = True) -> Iterator[dict[str, Any]]:
        """The `query` part of each answer, as long as the server has more; `kept`: the cache may answer and learn."""
        asked = {"action": "query", "format": "json", "formatversion": "2", "maxlag": "5", **parameters}
        more: dict[str, str] = {}
        for _ in range(MAX_ROUNDS):
            answer = self._cached(asked | more) if kept else self._asked(asked | more)
            yield _part(answer, "query", self.address)
            following = {name: str(value) for name, value in _part(answer, "continue", self.address).items()}
            if not following:
                return
            if following == more:
                raise DataError(f"{self.address}: expected another continuation than the last, got {following} again")
            more = following
        raise DataError(f"{self.address}: expected at most {MAX_ROUNDS} answers to a question; it asks for more")

    def _cached(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """The answer from the cache, else from the server."""
        if self.cache is None:
            return self._asked(asked)
        question = f"{self.address}?{urllib.parse.urlencode(sorted(asked.items()))}"
        file = self.cache / (hashlib.sha256(question.encode()).hexdigest() + ".json")
        try:
            entry = json.loads(file.read_bytes())
            if entry["digest"] == _digest([question, entry["answer"]]):
                return dict(entry["answer"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass
        answer = self._asked(asked)
        entry = {"question": question, "digest": _digest([question, answer]), "answer": answer}
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"WikipediaLoader.cache: cannot make the folder {self.cache}: {error}") from error
        write_atomically(file, json.dumps(entry, ensure_ascii=False).encode())
        return answer

    def _asked(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """The server's answer, after as many tries and pauses as it asks for, up to RETRIES."""
        url = f"{self.address}?{urllib.parse.urlencode(asked)}"
        attempt = 0
        while True:
            _pause(self._last + self.interval / 1000 - time.monotonic())
            self._last = time.monotonic()
            try:
                return self._checked(*self._fetched(url))
            except _Busy as busy:
                if attempt == RETRIES:
                    raise StorageError(f"{self.address}: still busy after {RETRIES + 1} tries ({busy})") from busy
                _pause(pause(attempt, busy.wait, self.address) / 1000)
            attempt += 1

    def _fetched(self, url: str) -> tuple[bytes, float | None]:
        """The bytes of the answer, and how long in ms it asks to wait."""
        request = urllib.request.Request(
            url, headers={"User-Agent": self.user_agent, "Accept-Encoding": "gzip", "Accept": "application/json"}
        )
        try:
            with _opener(url).open(request, timeout=self.timeout / 1000) as answer:
                packed = answer.headers.get("Content-Encoding", "") == "gzip"
                return self._body(answer, packed), _retry_after(answer.headers)
        except urllib.error.HTTPError as error:
            why = f"HTTP {error.code} {error.reason}"
            if error.code in _BUSY:
                raise _Busy(why, _retry_after(error.headers)) from error
            raise StorageError(f"{self.address}: expected an answer, got {why}") from error
        except (OSError, HTTPException, zlib.error, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise _Busy(f"{type(error).__name__}: {error}", None) from error

    def _body(self, stream: Any, packed: bool) -> bytes:
        """The answer unpacked, of at most `max_bytes`."""
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16) if packed else None
        body = bytearray()
        while chunk := stream.read(_CHUNK):
            left = self.max_bytes + 1 - len(body)
            body += unpacker.decompress(chunk, left) if unpacker else chunk
            if len(body) > self.max_bytes:
                raise DataError(f"{self.address}: expected at most {self.max_bytes} bytes in an answer; see max_bytes")
        return bytes(body)

    def _checked(self, body: bytes, wait: float | None) -> dict[str, Any]:
        """The answer as JSON; an error in it is raised, or waited for."""
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.address}: expected JSON, got {body[:60]!r} ({error})") from error
        if not isinstance(answer, dict):
            raise DataError(f"{self.address}: expected a JSON object, got {type(answer).__name__}")
        if (fault := answer.get("error")) is not None:
            code, info = (str(fault.get(k)) for k in ("code", "info")) if isinstance(fault, dict) else ("?", str(fault))
            if code in _TRY_AGAIN:
                raise _Busy(f"{code}: {info}", wait)
            raise DataError(f"{self.address}: the server refuses the question ({code}: {info[:200]})")
        return answer


def check_address(url: str) -> str:
    """The URL of an API: https, or http of this machine's own (loopback) address; ParameterError for another."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
    except (ValueError, TypeError, AttributeError) as error:
        raise ParameterError(f"WikipediaLoader.base_url must be a URL, got {url!r} ({error})") from error
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))):
        raise ParameterError(f"WikipediaLoader.base_url must begin with https:// (http only for loopback), got {url!r}")
    return url


def pause(attempt: int, asked: float | None, address: str) -> float:
    """ms to wait before the next try: what the server asked for, else 1 s, doubled with each try."""
    if asked is not None and asked > MAX_WAIT:
        raise StorageError(f"{address}: the server asks to wait {asked / 1000:.0f} s; try again after that")
    return float(2**attempt * 1000) if asked is None else asked


def _pause(seconds: float) -> None:
    if seconds > 0:
        time.sleep(seconds)


def _is_near(url: str) -> bool:
    return _is_loopback(urllib.parse.urlsplit(url).hostname or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Opens https and http alone; this machine's own addresses without a proxy."""
    handlers = [urllib.request.ProxyHandler({})] if _is_near(url) else []
    return urllib.request.build_opener(_SameScheme(), *handlers)


def _retry_after(headers: Mapping[str, str] | Any) -> float | None:
    """ms of the header Retry-After, a number of seconds or a date; None where there is none that can be read."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    if (seconds := value.strip()).isdecimal() and len(seconds) < 10:
        return 1000.0 * int(seconds)
    try:
        return max(0.0, 1000 * (parsedate_to_datetime(value).timestamp() - time.time()))
    except (TypeError, ValueError, OverflowError):
        return None


def _part(answer: Mapping[str, Any], name: str, address: str) -> dict[str, Any]:
    """A part of an answer, which is an object; empty where it is not there."""
    part = answer.get(name, {})
    if not isinstance(part, dict):
        raise DataError(f"{address}: expected an object as {name!r}, got {type(part).__name__}")
    return part


def _digest(answer: Any) -> str:
    return hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()
