"""A server and a client on a loop of its own."""

import asyncio

from aiohttp import ClientSession, web


async def echo(_request):
    return web.Response(text="hello")


async def talk():
    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with ClientSession() as session, session.get(site.name) as reply:
        assert await reply.text() == "hello"
    await runner.cleanup()


def work():
    asyncio.run(talk())
