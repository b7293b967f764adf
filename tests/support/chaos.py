"""A proxy between the server and an S3 that does what networks and stores do at their worst.

Each request meets a fault with a probability; which one follows from the seed, the kind of the request, its key and how
often it came, whatever else goes on at the same time. All decisions are written down. A test may also stop the flow
before or behind any one request, answer requests itself, or let nothing through.
"""

import asyncio
import random
import re
import socket
import struct
import threading
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

PASSING = ("500", "503", "429", "reset before", "reset during", "lost answer", "late 500", "delay", "truncated",
           "changed bytes")
REFUSING = ("301", "307", "skew")
ERRORS = {
    "500": (500, "InternalError"), "503": (503, "SlowDown"), "429": (429, "TooManyRequests"),
    "late 500": (500, "InternalError"), "skew": (403, "RequestTimeTooSkewed"), "denied": (403, "AccessDenied"),
    "error in 200": (200, "InternalError"), "gone": (404, "NoSuchUpload"),
}
DELAY_S = (0.05, 0.4)


@dataclass
class Request:
    """One request as the proxy sees it; `status` is the store's, None where the store was not asked."""

    number: int
    step: str
    bucket: str
    key: str
    query: dict
    fault: str | None
    status: int | None = None

    def __str__(self):
        return f"#{self.number} {self.step} {self.key} → {self.fault or 'ok'}, {self.status}"


def step(method, query):
    """What a request to S3 is for, by the name that its operation has."""
    if method == "GET":
        return "List" if "list-type" in query else "Get"
    if method == "POST":
        return "Create" if "uploads" in query else "Complete"
    if method == "DELETE":
        return "Abort" if "uploadId" in query else "Delete"
    if method == "PUT":
        return "Part" if "partNumber" in query else "Put"
    return method.capitalize()


class Chaos:
    """A proxy before `upstream`; `rate` tells the probability of a fault for a key."""

    def __init__(self, upstream, seed=0, rate=lambda key: 0.0, faults=PASSING + REFUSING):
        self.upstream = urlsplit(upstream)
        self.seed, self.rate, self.faults = seed, rate, faults
        self.log, self.seen = [], {}
        # A step → the fault that all its requests meet, or a function of the request that tells it.
        self.always = {}
        # Called with each request before it goes on and after it was answered; True: it goes no further.
        self.before = self.after = lambda request: False
        self.is_down = self.is_silent = False
        self.elsewhere = 0
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def told(self, key_part, step=None):
        """What was asked about keys with this text in them."""
        return [one for one in self.log if key_part in one.key and step in (None, one.step)]

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self):
        self._end = asyncio.Event()
        serving = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        decoy = await asyncio.start_server(self._decoy, "127.0.0.1", 0)
        self.port = serving.sockets[0].getsockname()[1]
        self.decoy_port = decoy.sockets[0].getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._started.set()
        await self._end.wait()
        for server in (serving, decoy):
            server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _decoy(self, _, writer):
        """Where redirects lead: nobody may come here, least of all with credentials."""
        self.elsewhere += 1
        writer.close()

    async def _connection(self, reader, writer):
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.CancelledError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _one(self, reader, writer):
        """Takes a request, does with it what was decided; whether the connection goes on."""
        head = await reader.readuntil(b"\r\n\r\n")
        headers = parse_head(head)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ", 2)
        request = self._decide(method, target, headers)
        if self.is_down:
            request.fault = "down"
            return reset(writer)
        if self.is_silent or request.fault == "silence":
            request.fault = "silence"
            await reader.read()
            return False
        if await asyncio.to_thread(self.before, request):
            return reset(writer)
        return await self._play(request, head, body, writer)

    def _decide(self, method, target, headers):
        path, _, query = target.partition("?")
        query = parse_qs(query, keep_blank_values=True)
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        key = key or query.get("prefix", [""])[0]
        kind = step(method, query)
        part = query.get("partNumber", [""])[0]
        nth = self.seen[kind, key, part] = self.seen.get((kind, key, part), 0) + 1
        # Buckets have other names in each run.
        chance = random.Random(f"{self.seed} {kind} {key} {part} {nth}")
        fault = None
        if kind in self.always:
            fault = self.always[kind]
        elif chance.random() < self.rate(key):
            fault = chance.choice(self._possible(kind))
        request = Request(len(self.log) + 1, kind, bucket, key, query, fault(key) if callable(fault) else fault)
        request.chance, request.headers = chance, headers
        self.log.append(request)
        return request

    def _possible(self, kind):
        faults = list(self.faults)
        if kind not in ("Get", "Part", "Put"):
            faults.remove("changed bytes")
        if kind == "Complete":
            faults += ["error in 200", "lost answer"]
        if kind == "List":
            faults.append("cut off")
        return faults

    async def _play(self, request, head, body, writer):
        fault, chance = request.fault, request.chance
        if fault in ("301", "307"):
            return await answer(writer, int(fault), "PermanentRedirect",
                                f"Location: http://127.0.0.1:{self.decoy_port}/\r\nx-amz-bucket-region: eu-west-1\r\n")
        if fault in ERRORS and fault != "late 500":
            return await answer(writer, *ERRORS[fault])
        if fault == "reset before":
            return reset(writer)
        if fault == "delay":
            await asyncio.sleep(chance.uniform(*DELAY_S))
        if fault == "reset during":
            await self._forward(head, body[: len(body) // 2], request, is_cut=True)
            return reset(writer)
        if fault == "changed bytes" and request.step != "Get":
            body = changed(body, chance)
        answered = await self._forward(head, body, request)
        if await asyncio.to_thread(self.after, request) or fault == "lost answer":
            return reset(writer)
        if fault == "late 500":
            return await answer(writer, *ERRORS[fault])
        return await self._hand_on(request, *answered, writer)

    async def _forward(self, head, body, request, is_cut=False):
        """Asks the store on a connection of its own; head and body of its answer."""
        reader, writer = await asyncio.open_connection(self.upstream.hostname, self.upstream.port)
        try:
            writer.write(re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head)[:-2] + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
            if is_cut:
                return None
            found = await reader.readuntil(b"\r\n\r\n")
            while found.startswith(b"HTTP/1.1 100"):
                found = await reader.readuntil(b"\r\n\r\n")
            request.status = int(found.split(b" ")[1])
            return found, await read_body(reader, parse_head(found), request.step)
        finally:
            reset(writer) if is_cut else writer.close()

    async def _hand_on(self, request, head, body, writer):
        fault = request.fault
        lines = [line for line in head[:-4].split(b"\r\n")
                 if not re.match(rb"(?i)(connection|transfer-encoding|content-length):", line)]
        announced = parse_head(head).get("content-length", len(body)) if request.step == "Head" else len(body)
        if fault == "cut off":
            announced = len(body := body[: request.chance.randrange(len(body))])
        if fault == "changed bytes" and request.step == "Get":
            body = changed(body, request.chance)
        if request.status != 204:
            lines.append(b"Content-Length: %d" % int(announced))
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        if fault == "truncated":
            writer.write(body[: len(body) // 2])
            await writer.drain()
            return reset(writer)
        writer.write(body)
        await writer.drain()
        return True


def parse_head(head):
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


async def read_body(reader, headers, kind):
    if kind == "Head":
        return b""
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if "chunked" not in headers.get("transfer-encoding", ""):
        return await reader.read()
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    return body


def changed(body, chance):
    if not body:
        return body
    at = chance.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 1 << chance.randrange(8)]) + body[at + 1 :]


async def answer(writer, status, code, more=""):
    body = f"<Error><Code>{code}</Code><Message>chaos</Message></Error>"
    writer.write(f"HTTP/1.1 {status} Chaos\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
                 f"{more}\r\n{body}".encode())
    await writer.drain()
    return True


def reset(writer):
    """Ends a connection as a crash does: what was not read is lost."""
    if found := writer.get_extra_info("socket"):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False
