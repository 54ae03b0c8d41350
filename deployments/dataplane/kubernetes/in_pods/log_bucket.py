"""Logs of tasks in a bucket of S3-compatible storage, where an operator names one: they outlive the code server's disk.

The folder of the code server stays what everything reads and writes. What changes there is sent to the bucket once it
has been quiet for some seconds, and every minute while it goes on; what is only in the bucket is fetched into the
folder when it is asked for. A bucket that is away costs nothing but that: logs wait in the folder, and are sent
later.

Requests are signed with AWS Signature Version 4, in path style, as every server of that kind takes it. The keys are in
this pod's environment alone, and in no request. It is copied into the cluster as it stands: only the standard library.
"""

import hashlib
import hmac
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from http.client import HTTPException
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO
from urllib import request
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

task_log_files: Any = import_module("task_log_files")  # beside this file

QUIET_SECONDS, EVERY_SECONDS = 5.0, 60.0  # a log is sent once it is quiet; while it goes on, every so often
LOOK_SECONDS = 2.0
LIST_SECONDS = 3600.0  # the whole bucket is listed at the start, and again so often
REST_SECONDS = 30.0  # after an error
ANSWER_SECONDS = 60
CHUNK = 1024 * 1024
PAGE = "1000"  # of one list, which is as many as there can be
LATER = ".later"  # behind the name of what a bucket already has a longer log of
UNSIGNED = "UNSIGNED-PAYLOAD"
UNRESERVED = "-_.~"


class Bucket:
    """`url` is https://HOST/BUCKET, with a prefix behind it if wanted."""

    def __init__(self, url: str, region: str, key: str, secret: str) -> None:
        parts = urlsplit(url.rstrip("/"))
        bucket, _, prefix = parts.path.lstrip("/").partition("/")
        self._root, self._host = f"{parts.scheme}://{parts.netloc}", parts.netloc
        self._bucket, self._prefix = f"/{bucket}", f"{prefix}/" if prefix else ""
        self._region, self._key, self._secret = region, key, secret

    def put(self, path: str, file: BinaryIO, size: int) -> None:
        """Keep `size` bytes of the file under that path."""
        with self._ask(
            "PUT",
            path,
            body=_UpTo(file, size),
            more={"Content-Length": str(size), "Content-Type": "text/plain; charset=utf-8"},
        ):
            return

    def get(self, path: str) -> Any:
        """An open answer with the content."""
        return self._ask("GET", path)

    def delete(self, path: str) -> None:
        """Drop it."""
        with self._ask("DELETE", path):
            return

    def entries(self) -> "Iterator[Any]":
        """All that it has: when it was written, its size, its path."""
        token = ""
        while True:
            query = {"list-type": "2", "prefix": self._prefix, "max-keys": PAGE}
            if token:
                query["continuation-token"] = token
            with self._ask("GET", "", query) as answer:
                tree = ElementTree.fromstring(answer.read())  # noqa: S314 - of a server that an operator named
            space = tree.tag.partition("}")[0] + "}" if "}" in tree.tag else ""
            for each in tree.iter(f"{space}Contents"):
                path = (each.findtext(f"{space}Key") or "").removeprefix(self._prefix)
                moment = datetime.fromisoformat(
                    (each.findtext(f"{space}LastModified") or "").replace("Z", "+00:00")
                )
                with suppress(task_log_files.BadPath):
                    task_log_files.parts_of(path)
                    size = int(each.findtext(f"{space}Size") or 0)
                    yield task_log_files.Entry(moment.timestamp(), size, path)
            token = tree.findtext(f"{space}NextContinuationToken") or ""
            if not token:
                return

    def _ask(
        self,
        method: str,
        path: str,
        query: "dict[str, str] | None" = None,
        *,
        body: Any = None,
        more: "dict[str, str] | None" = None,
    ) -> Any:
        name = quote(f"{self._bucket}/{self._prefix}{path}" if path else self._bucket, safe=f"/{UNRESERVED}")
        asked = "&".join(
            f"{quote(key, safe=UNRESERVED)}={quote(value, safe=UNRESERVED)}"
            for key, value in sorted((query or {}).items())
        )
        headers = {**self.signed(method, name, asked, datetime.now(timezone.utc)), **(more or {})}  # noqa: UP017
        url = f"{self._root}{name}{'?' * bool(asked)}{asked}"
        opener = request.build_opener(request.ProxyHandler({}), _NoRedirects())
        return opener.open(request.Request(url, body, headers, method=method), timeout=ANSWER_SECONDS)  # noqa: S310

    def signed(self, method: str, name: str, query: str, now: datetime) -> "dict[str, str]":
        """The headers of a request, by AWS Signature Version 4."""
        moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        signed = {"host": self._host, "x-amz-content-sha256": UNSIGNED, "x-amz-date": moment}
        names = ";".join(sorted(signed))
        lines = [f"{key}:{signed[key]}" for key in sorted(signed)]
        canonical = "\n".join([method, name, query, *lines, "", names, UNSIGNED])
        scope = f"{day}/{self._region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4{self._secret}".encode()
        for part in (day, self._region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        credential = f"Credential={self._key}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {
            "Host": self._host,
            "X-Amz-Content-Sha256": UNSIGNED,
            "X-Amz-Date": moment,
            "Authorization": f"AWS4-HMAC-SHA256 {credential}",
        }


class _UpTo:
    """The first bytes of a file that may grow in the meantime."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        """At most so many of what is left."""
        found = self._file.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(found)
        return found


class _NoRedirects(request.HTTPRedirectHandler):
    """A signature is for one host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: the answer is an error."""


class Mirror:
    """Keeps a folder of logs and a bucket alike. `days` is for how long the bucket keeps them."""

    def __init__(self, folder: Path, bucket: Bucket, days: int, say: Any = print) -> None:
        self._folder, self._bucket, self._days, self._say = folder, bucket, days, say
        self._lock = threading.Lock()
        self._fetching, self._sending = threading.Lock(), threading.Lock()
        self._touched: dict[
            str, float
        ] = {}  # what is to be sent, and since when; 0 before that was looked at
        self._kept: dict[str, dict[str, Any]] = {}  # what the bucket has, by folder and name
        self._ended = threading.Event()
        self._problem = ""
        self._listed = False
        self._apart: set[str] = set()  # begun here without what the bucket has of them

    def written(self, path: str) -> None:
        """This log grew."""
        with self._lock:
            self._touched.setdefault(path, 0.0)

    def elsewhere(self) -> "Iterator[Any]":
        """What the bucket has and the folder has not; None after each folder. There may be a million: none is copied
        before it is asked for."""
        with self._lock:
            folders = list(self._kept)
        for folder in folders:
            with self._lock:
                entries = list(self._kept.get(folder, {}).values())
            for entry in entries:
                if not (self._folder / entry.path).exists():
                    yield entry
            yield None

    def bring(self, path: str) -> None:
        """Have this log in the folder, and those of the same attempt, if the bucket has them. Raises OSError when it
        does not hand them out."""
        folder, _, name = path.rpartition("/")
        with self._lock:
            found = [entry for each, entry in self._kept.get(folder, {}).items() if each.startswith(name)]
        try:
            for entry in found:
                if not (
                    self._folder / entry.path
                ).exists():  # most are: without waiting for another log's download
                    self._fetch(entry)
        except HTTPException as error:
            raise OSError(type(error).__name__) from None

    def _fetch(self, entry: Any) -> None:
        place, scratch = self._folder / entry.path, self._folder.parent / "fetched.part"
        with self._fetching:
            if place.exists():
                return
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                with self._bucket.get(entry.path) as answer, scratch.open("wb") as file:
                    while chunk := answer.read(CHUNK):
                        file.write(chunk)
                    if answer.length:  # a download that was cut off ends without an error
                        raise ConnectionError("The bucket's answer ended too early.")
                os.utime(scratch, (entry.changed, entry.changed))  # as old as it is
                os.replace(scratch, place)
                self._apart.discard(entry.path)  # what is written from now on continues it
            except HTTPError as error:
                if error.code != 404:
                    raise
            finally:
                scratch.unlink(missing_ok=True)

    def run_for_ever(self) -> None:
        """In a thread of its own."""
        listed = 0.0
        while not self._ended.is_set():
            rest = LOOK_SECONDS
            try:
                if not listed or time.monotonic() - listed > LIST_SECONDS:
                    self.take_stock()
                    listed = time.monotonic()
                self.send(quiet=QUIET_SECONDS)
                self._report("")
            except (OSError, HTTPException, ValueError, ElementTree.ParseError) as error:
                self._report(f"The bucket takes or gives no logs: {_words(error)}. They wait here.")
                rest = REST_SECONDS
            self._ended.wait(rest)

    def take_stock(self) -> None:
        """List the bucket, drop what is too old there, and send what is in the folder alone."""
        found: dict[str, dict[str, Any]] = {}
        oldest = time.time() - self._days * 86_400
        for entry in self._bucket.entries():
            folder, _, name = entry.path.rpartition("/")
            if entry.changed < oldest:
                self._bucket.delete(entry.path)
            else:
                found.setdefault(folder, {})[name] = entry
        with self._lock:
            self._kept, self._listed = found, True
        for base, _, names in os.walk(self._folder):
            inside = os.path.relpath(base, self._folder)
            folder = "" if inside == "." else inside
            for name in names:
                kept = found.get(folder, {}).get(name)
                with suppress(OSError):
                    if kept is None or (self._folder / folder / name).stat().st_size > kept.size:
                        self.written(f"{folder}/{name}" if folder else name)

    def send(self, quiet: float = 0.0) -> None:
        """Send what was written and has been quiet for so long, or was not sent for a minute."""
        with self._sending:  # the last call waits for what is on its way
            self._send_waiting(quiet)

    def _send_waiting(self, quiet: float) -> None:
        with self._lock:
            waiting = list(self._touched.items())
        for path, begun in waiting:
            place = self._folder / path
            try:
                status = place.stat()
            except OSError:  # dropped in the meantime
                with self._lock:
                    self._touched.pop(path, None)
                continue
            now = time.time()
            since = begun or now
            if now - status.st_mtime < quiet and now - since < EVERY_SECONDS:
                with self._lock:
                    self._touched[path] = since
                continue
            self._send(path, status.st_size)

    def _send(self, path: str, size: int) -> None:
        folder, _, name = path.rpartition("/")
        with self._lock:
            self._touched.pop(path, None)  # what is written from now on marks it again
            kept = self._kept.get(folder, {}).get(name)
        if kept is not None and (kept.size > size or path in self._apart):  # begun here before it was listed
            self._apart.add(path)
            name += LATER
        key = f"{folder}/{name}" if folder else name
        try:
            with (self._folder / path).open("rb") as file:
                self._bucket.put(key, file, size)
        except FileNotFoundError:
            return
        except BaseException:
            self.written(path)
            raise
        with self._lock:
            self._kept.setdefault(folder, {})[name] = task_log_files.Entry(time.time(), size, key)

    def finish(self) -> None:
        """The pod ends: send what waits, as far as the time lasts."""
        self._ended.set()
        try:
            if not self._listed:
                self.take_stock()
            self.send()
        except (OSError, HTTPException, ValueError, ElementTree.ParseError) as error:
            self._report(f"The bucket did not take the last logs: {_words(error)}.")

    def _report(self, problem: str) -> None:
        """Each problem once, and when it is over."""
        if problem != self._problem:
            self._problem = problem
            self._say(problem or "The bucket has all logs.")


def _words(error: BaseException) -> str:
    """Never an address, in which there could be a secret."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code}"
    return str(getattr(error, "reason", "")) or type(error).__name__


def of_environment(folder: Path, days: int, say: Any) -> "Mirror | None":
    """What the operator set, running; None when nothing."""
    url = os.environ.get("AIRDECK_LOG_BUCKET_URL", "")
    if not url:
        return None
    names = ("REGION", "ACCESS_KEY", "SECRET_KEY")
    bucket = Bucket(url, *(os.environ[f"AIRDECK_LOG_BUCKET_{name}"] for name in names))
    mirror = Mirror(folder, bucket, days, say)
    threading.Thread(target=mirror.run_for_ever, daemon=True).start()
    return mirror
