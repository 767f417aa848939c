"""What does the stream of the NATS part hold?  Arguments: the servers, and one of
make (the stream, with three replicas), leader (prints its name), whole (are all replicas up to date?), read (prints all, an event a line).
"""

import asyncio
import sys

import nats
from nats.js.api import StreamConfig

STREAM = "EVENTS"


async def make(jetstream):
    await jetstream.add_stream(StreamConfig(name=STREAM, subjects=["events.>"], num_replicas=3, duplicate_window=120))


async def leader(jetstream):
    print((await jetstream.stream_info(STREAM)).cluster.leader)


async def whole(jetstream):
    replicas = (await jetstream.stream_info(STREAM)).cluster.replicas
    if len(replicas) < 2 or not all(replica.current and not replica.offline for replica in replicas):
        sys.exit(1)


async def read(jetstream):
    left = (await jetstream.stream_info(STREAM)).state.messages
    subscription = await jetstream.subscribe("events.>", ordered_consumer=True)
    while left:
        print((await subscription.next_msg(timeout=10)).data.decode())
        left -= 1


async def main():
    servers, command = sys.argv[1:]
    broker = await nats.connect([f"nats://{address}" for address in servers.split(",")], connect_timeout=1, max_reconnect_attempts=3)
    await {"make": make, "leader": leader, "whole": whole, "read": read}[command](broker.jetstream(timeout=10))
    await broker.close()


asyncio.run(main())
