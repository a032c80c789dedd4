"""Where the core meets the world: sockets, loops, clocks and disks. Adapters carry out, they decide nothing.

Import the module you need; nothing is imported here, so that the asyncio server works without anyio.

* :mod:`.sqlite_store`: durable rows in one SQLite file;
* :mod:`.asyncio_server`: the CSMS side on native asyncio, for many connections;
* :mod:`.anyio_server`, :mod:`.anyio_rpc`, :mod:`.anyio_station`: both sides on anyio (asyncio and trio);
* :mod:`.threads_server`, :mod:`.threads_rpc`, :mod:`.threads_station`: both sides on plain threads;
* :mod:`.poll_server`, :mod:`.poll_rpc`, :mod:`.poll_station`: both sides in a main loop of one's own;
* :mod:`.asgi`: the CSMS side within an ASGI application;
* :mod:`.bridge`, :mod:`.bridge_anyio`, :mod:`.threads_bridge`: over messages that others carry;
* :mod:`.recorder` and :mod:`.replay`: write down what a machine was told, and tell it again.
"""
