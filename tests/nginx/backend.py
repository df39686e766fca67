"""A back end for tests, a program of its own: answers with its name and the request's number, and writes both down.

``backend.py NAME HOST:PORT FILE``. Every request that it begins to answer is a line of the file: ``METHOD NUMBER``.
``/n/17`` is answered at once, ``/slow/17/0.5`` after half a second, ``/held/17`` when SIGUSR1 comes, ``/health`` always, by
nobody counted. The answer repeats the length of what was posted. ``/broken/17`` is answered with 500.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys


class Backend:
    """One back end."""

    def __init__(self, name: str, file: str) -> None:
        self.name, self.go = name, asyncio.Event()
        self.file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def release(self) -> None:
        """Answer what is held."""
        self.go.set()
        self.go = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                writer.write(await self.answer(head.decode("latin-1"), reader))
                await writer.drain()
                if b"connection: close" in head.lower() or b"HTTP/1.0" in head:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, head: str, reader: asyncio.StreamReader) -> bytes:
        """Answer one request."""
        line, *headers = head.split("\r\n")
        method, path, _ = line.split(" ", 2)
        lengths = [row.partition(":")[2] for row in headers if row.lower().startswith("content-length:")]
        body = await reader.readexactly(int(lengths[0])) if lengths else b""
        words = path.split("?")[0].strip("/").split("/")
        if words[0] != "health":
            os.write(self.file, f"{method} {words[1] if len(words) > 1 else '-'}\n".encode())
        if words[0] == "slow":
            await asyncio.sleep(float(words[2]))
        if words[0] == "held":
            await self.go.wait()
        said = f"{self.name} {words[1] if len(words) > 1 else '-'} {len(body)}\n".encode()
        status = "500 Broken" if words[0] == "broken" else "200 OK"
        return f"HTTP/1.1 {status}\r\nContent-Length: {len(said)}\r\n\r\n".encode() + said


async def main(name: str, listen: str, file: str) -> None:
    """Serve until SIGTERM."""
    host, _, port = listen.rpartition(":")
    backend = Backend(name, file)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, backend.release)
    server = await asyncio.start_server(backend.serve, host, int(port), backlog=512)
    async with server:
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
