"""What does the stream of the NATS part hold?  Arguments: the servers, and one of
make (the stream, with three replicas), leader (prints its name), whole (are all replicas up to date?), read (prints all, an event a line).
"""

import asyncio
import sys
import time

import nats
from nats.js.api import StreamConfig

STREAM = "EVENTS"
PATIENCE = 60  # seconds for servers that elect a leader: they answer nobody meanwhile


async def make(jetstream):
    await jetstream.add_stream(StreamConfig(name=STREAM, subjects=["events.>"], num_replicas=3, duplicate_window=120))
    return []


async def leader(jetstream):
    name = (await jetstream.stream_info(STREAM)).cluster.leader
    if not name:
        raise asyncio.TimeoutError("the stream has no leader yet")
    return [name]


async def whole(jetstream):
    replicas = (await jetstream.stream_info(STREAM)).cluster.replicas
    if len(replicas) < 2 or not all(replica.current and not replica.offline for replica in replicas):
        sys.exit(1)
    return []


async def read(jetstream):
    count = (await jetstream.stream_info(STREAM)).state.messages
    subscription = await jetstream.subscribe("events.>", ordered_consumer=True)
    return [(await subscription.next_msg(timeout=10)).data.decode() for _ in range(count)]


async def try_until_answered(command, jetstream):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return await command(jetstream)
        except (nats.errors.Error, asyncio.TimeoutError):
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.2)


async def main():
    servers, command = sys.argv[1:]
    broker = await nats.connect([f"nats://{address}" for address in servers.split(",")], connect_timeout=1, max_reconnect_attempts=3)
    print(*await try_until_answered({"make": make, "leader": leader, "whole": whole, "read": read}[command], broker.jetstream(timeout=5)), sep="\n")
    await broker.close()


asyncio.run(main())
