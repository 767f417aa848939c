"""What does the Python SDK of CloudEvents read in our events?

Usage: read.py json FILE, which has one event a line. Prints a line for each event, as ../README.md describes.
The SDK has no protobuf format. It makes up what is missing: an id, a time.
"""

import sys
from datetime import datetime, timezone

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent


def only_what_is_there(attributes, data):
    present = list(attributes)
    event = CloudEvent(attributes, data)
    event.present = present
    return event


def describe(event):
    attributes = event.get_attributes()
    data = event.get_data()
    return "%s\t%s" % (
        " ".join(sorted(f"{name}={shown(attributes[name])}" for name in event.present)),
        "none" if data is None else f"{type(data).__name__}:{data!r}",
    )


def shown(value):
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, bool):
        return f"bool:{value}".lower()
    if isinstance(value, int):
        return f"int32:{value}"
    if isinstance(value, datetime):
        return escape(value.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds") + "000")
    return escape(f"{type(value).__name__}:{value}")


def escape(text):
    """Letters, digits and some others as they are, the rest percent-encoded: the same in every language."""
    return "".join(
        chr(b) if chr(b).isascii() and (chr(b).isalnum() or chr(b) in "-._/+") else f"%{b:02X}" for b in text.encode()
    )


def main():
    form, file = sys.argv[1:]
    if form != "json":
        sys.exit(f"the Python SDK has no format {form}")
    with open(file, "rb") as events:
        for line in events:
            try:
                print(describe(JSONFormat().read(only_what_is_there, line.rstrip(b"\n"))))
            except Exception as e:  # whatever the SDK raises is its word on the event
                print("ERROR", " ".join(f"{type(e).__name__} {e} {getattr(e, 'errors', '')}".split()))


sys.setrecursionlimit(10_000)  # data may be nested deeper than Python's json likes
main()
