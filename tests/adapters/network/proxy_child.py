"""An HTTP proxy that connects whoever knows the password, as a process; tells whom, in JSON lines.

``python -m tests.adapters.network.proxy_child PORT USER:PASSWORD``
"""

import asyncio
import json
import sys
from base64 import b64encode
from contextlib import suppress

PORT, SECRET = int(sys.argv[1]), b64encode(sys.argv[2].encode())


def tell(event: str, **members: str) -> None:
    print(json.dumps({"event": event, **members}), flush=True)


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    writer.close()


async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    method, target, _ = request.split(b" ", 2)
    host, port = target.decode().rsplit(":", 1)
    if method != b"CONNECT" or SECRET not in request:
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
        writer.close()
        return
    far_reader, far_writer = await asyncio.open_connection(host.strip("[]"), int(port))
    tell("tunnel", source=writer.get_extra_info("peername")[0], target=target.decode())
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer))


async def main() -> None:
    async with await asyncio.start_server(connect, port=PORT) as server:
        tell("listening")
        await server.serve_forever()


asyncio.run(main())
