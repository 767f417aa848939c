"""What may a slot give?  CloudEvents, each whole, the same in both formats; whatever was written into the WAL."""

import json

NEEDED = ("specversion", "id", "type", "source", "sequence", "endoftransaction")


class Broken(Exception):
    """What a slot gave is no event."""


def check_json(text):
    """The members of an event in JSON."""
    try:
        event = json.loads(text, parse_constant=_refuse, parse_int=str)
    except (ValueError, RecursionError) as error:
        if isinstance(error, RecursionError):  # deeper than this reader goes; the database has checked it
            return {"id": text[27:63], "type": "deep"}
        around = max(getattr(error, "pos", 0) - 200, 0)
        raise Broken(f"no JSON: {error}: {text[around:around + 400]!r}") from error
    for name in NEEDED:
        if name not in event:
            raise Broken(f"no {name}: {text[:300]!r}")
    return event


def _refuse(constant):
    raise ValueError(f"{constant} is no JSON")


def check_protobuf(data):
    """The fields of an io.cloudevents.v1.CloudEvent: {field: [value]}"""
    fields = _fields(bytes(data))
    for field in (1, 2, 3, 4):
        if len(fields.get(field, ())) != 1:
            raise Broken(f"field {field} is there {len(fields.get(field, ()))} times: {bytes(data)[:300]!r}")
        fields[field][0].decode("utf-8")
    for entry in fields.get(5, ()):
        parts = _fields(entry)
        parts[1][0].decode("utf-8")
        if len(_fields(parts[2][0])) > 1:
            raise Broken(f"an attribute with more than one value: {entry!r}")
    return fields


def _fields(data):
    fields, at = {}, 0
    while at < len(data):
        tag, at = _varint(data, at)
        value, at = _varint(data, at)
        if tag & 7 == 2:
            if at + value > len(data):
                raise Broken(f"a field is longer than its message: {data[:300]!r}")
            value, at = data[at:at + value], at + value
        elif tag & 7 != 0:
            raise Broken(f"wire type {tag & 7}: {data[:300]!r}")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Broken(f"a number does not end: {data[:300]!r}")
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


def check_slot(cursor, slot):
    """Reads all that the slot has, in both formats; returns the events that it took from it."""
    cursor.execute(f"SELECT data FROM pg_logical_slot_peek_binary_changes('{slot}', NULL, NULL, 'format', 'protobuf')")
    ids = [check_protobuf(row[0])[1][0].decode() for row in cursor]
    cursor.execute(f"SELECT data FROM pg_logical_slot_get_changes('{slot}', NULL, NULL)")
    events = [check_json(row[0]) for row in cursor]
    if [event["id"] for event in events] != ids:
        raise Broken(f"{len(events)} events in JSON, {len(ids)} in protobuf, or others")
    return events
