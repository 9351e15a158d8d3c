"""Both ends of WebSockets, with Python's `websockets`: a server that echoes, and a client that goes through a proxy.

Usage: websocket.py server PORT | websocket.py client URL
"""

import asyncio
import sys

import websockets

BIG = bytes(range(256)) * 4096


async def echo(socket):
    await socket.send("welcome")
    async for message in socket:
        await socket.send(message)


async def serve(port):
    async with websockets.serve(echo, "127.0.0.1", port, max_size=2 * len(BIG)):
        print("ready", flush=True)
        await asyncio.get_running_loop().create_future()


async def talk(url):
    async with websockets.connect(url, max_size=2 * len(BIG)) as socket:
        assert await socket.recv() == "welcome"
        for message in ("hello", "", "ä€", BIG, b""):
            await socket.send(message)
            assert await socket.recv() == message
        await (await socket.ping())
    assert socket.close_code == 1000


if __name__ == "__main__":
    role, target = sys.argv[1:]
    asyncio.run(serve(int(target)) if role == "server" else talk(target))
