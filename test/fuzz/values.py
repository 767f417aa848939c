"""What does a caller give?  For an argument of a name and a type: sometimes what makes sense, mostly what does not.

A value is an SQL expression, as text.  Bytes that are no UTF-8 are surrogates in it, as Python's "surrogateescape" has them.
"""

# Names that the world (world.py) registers, and some that only calls make.
TOPICS = ("in", "in.wal", "out", "out.wal", "made.1", "made-2")
EVENT_TYPES = ("echo", "fails", "wal", "journal", "none", "made", "it's \"odd\" %I")
MAPPINGS = ("echo", "echo-deferred", "echo-record", "fails", "fails-record", "late", "emits", "made")
CAPTURES = ("rows-insert", "rows-update", "rows-delete", "rows-truncate", "events", "made")
FUNCTIONS = ("fuzz.echo", "fuzz.fails", "fuzz.emits", "fuzz.unfit", "fuzz.echo_sql", "\"fuzz\".\"echo\"")
COLUMNS = ("id", "name", "doc", "j", "n", "f", "at", "list", "bytes", "uid", "type", "payload", "headers", "version", "event_id")
CONDITIONS = ("NEW.id > 0", "OLD.name IS DISTINCT FROM NEW.name", "true", "NEW.id", "1 = 1) OR (true", "(SELECT true)", "NEW.nope = 1",
              "random() < 2", "OLD.id > 0 AND NEW.id > 0", "NEW.id > 0; DROP TABLE fuzz.rows", "$1", "NEW", "", "NEW.id > 0 AS x", "true, false")
RELATIONS = ("fuzz.rows", "fuzz.events", "fuzz.parts", "fuzz.view", "fuzz.rows_id", "fuzz.sequence", "domev.topics", "domev.outbox",
             "pg_class", "fuzz.nothing", "", "fuzz.", "0", "4294967295", "99999999999", "\"", "domev.captures", "fuzz.parts_1")

# What else makes sense, by the name of the argument.
SENSE = {
    "topic": TOPICS, "event_type": EVENT_TYPES, "mapping": MAPPINGS + ("fails-record",) * 4, "capture": CAPTURES, "function": FUNCTIONS,
    "aggregate_type": ("order", "row"), "scope": ("internal", "external"), "storage": ("table", "wal"),
    "timing": ("immediate", "deferred"), "on_error": ("abort", "record"), "operation": ("insert", "update", "delete", "truncate"),
    "condition": CONDITIONS, "aggregate_id": ("id", "id, name", "1", "42", "x"), "event_type_column": ("type",),
    "payload_column": ("payload",), "headers_column": ("headers",), "version_column": ("version",), "event_id_column": ("event_id", "uid"),
    "occurred_at_column": ("at",), "source": ("/shop", "https://shop.example/orders", "urn:x:y"), "key": ("k",),
    "content_type": ("application/json", "application/vnd.x+json; charset=utf-8", "text/plain"), "data_schema": ("https://x.example/s",),
    "consumer": ("c1", "c2"), "slot_name": ("fuzz",), "publisher": ("x", "x.y_z-1"), "journal_topic": TOPICS, "slot": ("fuzz",), "lost_slot": ("fuzz",),
    "consumer": ("c1", "c2"), "slot_name": ("fuzz",), "owner": ("fuzz_app", "fuzz_plain", "postgres"),
    "up_to": ("0000000000000001.0000000000000000", "00000000000002E0.0003042AA784BA26", "00000000FFFFFFFF.0003042AA784BA26", "FFFFFFFFFFFFFFFF.FFFFFFFFFFFFFFFF"),
}
ARRAYS = {
    "topics": ("*", "in*", "out*"), "event_types": ("*", "e*", "made"),
    "columns": COLUMNS, "ignore": COLUMNS, "produces": ("made", "x", "domev.unpublishable"),
    "reset": ("description", "topic", "journal", "produces", "condition", "columns", "ignore", "event_type", "headers_column", "scope", "poll_since"), "topics": TOPICS,
}

SIZES = (1, 57, 58, 63, 64, 255, 256, 1024, 1025, 2048, 2049, 9000)
STRANGE = (
    "", " ", "a b", " around ", "a\nb", "a\r\nb: c", "\x01", "\x1f", "\x7f", "\x85", "\x9f", "\u00a0", "'", "''", '"', '""', "\\", "\\\\",
    "$$", "$1", "$x$", "%I", "%s%n%1$s", ";", "--", "/*", "'); DROP TABLE fuzz.rows; --", "*", "?", ",", "a,b", "NULL", "null", "true", "0", "-1",
    "NaN", "Infinity", "1e400", "{}", "{", "[", "[]", "{a,b}", "{NULL}", "a.b", ".a", "a.", "..", ".", "a.b.c.d", '"a"."b"', '"a', "public.x",
    "select", "domev/x", "../../etc", "\u202eabc", "e\u0301", "\u00e9", "\ufeff", "\u200b", "日本語", "🙂", "\U0010ffff", "\ufffe", "ß" * 31, "€" * 21, "€" * 22,
    "domev.unpublishable", "domev.heartbeat", "mac", "infinity", "2026-01-01", "\t", "\v", "\b",
)
NO_UTF8 = ("\udcff", "a\udce9", "\udcc3", "\udced\udca0\udc80", "\udcf4\udc90\udc80\udc80", "\udcc0\udc80")
JSON = (
    "{}", "[]", "null", "true", "0", "-0", "\"\"", "\"x\"", "1e2", "1E131071", "63.10", "0.1e-16382", "[1, [2, [3, {}]]]", "-1e-400", "1e400",
    '{"a": 1, "a": 2}', '{"": ""}', '"\\ud83d\\ude00"', '"\\u0001\\u001f\\u007f\\u0085"', " { } ", "[[],{},[[]]]",
    '["\\b\\f\\n\\r\\t\\"\\\\\\/"]', '{"$$": "%I", "\'": "\'\'"}', "123456789012345678901234567890.123456789012345678901234567890",
)
NO_JSON = (
    '{"a": "\\u0000"}', '"\\ud83d"', '"\\ude00\\ud83d"', '{"a": NaN}', "NaN", "Infinity", "{", "[1,", '"', '{"a"}', "{'a': 1}", "[1 2]", "01", "+1", ".5", "1.", "\\",
    "nul", "tru", "", " ", "{}{}", '"\\x"', '"\\u12"', '"a\tb"', "\ufeff{}", '"\udcff"', "0.1e-16383", "1e131072", "-1e-999999999999",
)
JSON_LARGE = (
    "repeat('[', 6000) || repeat(']', 6000)", "repeat('{\"a\":', 6000) || '1' || repeat('}', 6000)", "repeat('[', 100000) || repeat(']', 100000)",
    "repeat('[', 100000)", "'\"' || repeat('x', 1000000) || '\"'", "'\"' || repeat('\\u0001', 200000) || '\"'", "repeat('9', 131072)",
    "'0.' || repeat('9', 16383)", "repeat('9', 131073)", "'[' || repeat('1,', 50000) || '1]'",
    "(SELECT json_object_agg('h' || i, i)::text FROM generate_series(1, 2000) AS i)", "'{\"' || repeat('k', 300000) || '\": 1}'",
)
HEADERS = (
    '{"user": "ann"}', '{"user": null}', '{"n": 2147483647, "b": true}', '{"n": -2147483648}', '{"n": 2147483648}', '{"n": 1.5}', '{"n": 1.0}', '{"n": 1e3}', '{"id": "x"}',
    '{"Upper": 1}', '{"a-b": 1}', '{"": 1}', '{"a": {}}', '{"a": []}', '{"causationid": "x"}', '{"causationid": "00000000-0000-0000-0000-000000000001"}',
    '{"causationid": 1}', '{"causationid": null}', '{"ä": 1}', '{"a": "\\u0001"}', '{"a": "x\\ny"}', '{"a": ""}', '{"mac": "x"}', '{"sequence": "x"}', '[1]', '"x"', '1', 'null',
    '{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}', '{"data": 1}', '{"originaltype": "x"}', '{"replayid": "x"}', '{"a": "' + "x" * 3000 + '"}',
)
UUIDS = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "01234567-89ab-7000-8000-000000000001",
         "01234567-89ab-7000-8000-000000000002", "01a20ad7-9860-7bb8-a7b8-eac64f800609", "01a20ad7-9860-4bb8-a7b8-eac64f800609")
INTEGERS = ("0", "1", "-1", "42", "32767", "32768", "2147483647", "-2147483648", "2147483648", "9223372036854775807", "-9223372036854775808",
            "9223372036854775808", "1e3", "1.5", "0x10", "")
TIMES = ("infinity", "-infinity", "epoch", "0001-01-01 00:00:00+00", "0001-12-31 BC", "9999-12-31 23:59:59.999999+00", "10000-01-01 00:00:00+00",
         "4714-11-24 00:00:00+00 BC", "4714-11-23 BC", "294276-12-31 23:59:59.999999+00", "294277-01-01", "2026-02-30", "2026-06-30 23:59:60+00", "now", "today",
         "2026-01-01 00:00:00+15:59:59", "2026-01-01 Nowhere/City", "", "x", "1999-01-08 04:05:06.789-8")
INTERVALS = ("0", "1 day", "-1 day", "1 microsecond", "178000000 years", "-178000000 years", "infinity", "1000000000000 years", "x", "", "P1Y2M3DT4H5M6S",
             "2147483647 days", "9223372036854775807 microseconds")
BYTES = ("''", "'\\x'", "'\\x00'", "'\\x0001ff'", "'\\xzz'", "'\\x0'", "'\\\\000'", "'\\777'", "decode(repeat('00', 1000000), 'hex')", "'\\xc3\\x28'",
         "'\\x6d616465007b7d00'", "convert_to('made', 'UTF8') || '\\x00'::bytea || convert_to('{\"columns\": [\"id\"]}', 'UTF8') || '\\x00'::bytea",
         "convert_to('made', 'UTF8') || '\\x00'::bytea || convert_to('{\"columns\": 1, \"aggregate_id\": {}, \"ignore\": [null]}', 'UTF8') || '\\x00'::bytea",
         "convert_to(repeat('x', 64), 'UTF8') || '\\x00'::bytea || convert_to(repeat('[', 100000), 'UTF8') || '\\x00'::bytea",
         "'\\x0000'", "convert_to('a', 'UTF8') || '\\x005b5d00'::bytea", "sha512('x')")
ARRAY_TEXTS = ("{}", "{NULL}", "{a,NULL}", "{{a,b},{c,d}}", "[5:6]={a,b}", "[-1:0]={id,name}", "[2:1]={}", "{", "}", "{a", "{\"\"}", "{\"\",\"\"}", "a", "",
               "{{{{{{{a}}}}}}}", "{id,id}", "{*}", "[1:1][1:2]={{a,b}}", "{{a},{b,c}}")


def quote(text):
    return "'" + text.replace("'", "''") + "'"


class Values:
    """Draws values from a random.Random; large: how many of a thousand may be large."""

    def __init__(self, random, large=4):
        self.random = random
        self.large = large

    def draw(self, kind, name, sense=0.6):
        """An expression for an argument of that type and name; sense: the chance that it is what such an argument is for."""
        random = self.random
        if random.random() < 0.04:
            return "NULL"
        base = kind[:-2] if kind.endswith("[]") else kind
        if kind.endswith("[]"):
            return self.array(name, sense)
        maker = getattr(self, "of_" + base.replace(" ", "_"), None)
        return maker(name, sense) if maker else self.of_text(name, sense)

    def is_large(self):
        return self.random.randrange(1000) < self.large

    # By type; the names are those that format_type() gives.

    def of_text(self, name, sense):
        random = self.random
        if name in SENSE and random.random() < sense:
            return quote(random.choice(SENSE[name]))
        if self.is_large():
            return random.choice(("repeat('x', 1000000)", "repeat('ä', 500000)", "repeat(chr(1), 300000)", "repeat('\"', 1000000)", "repeat('a.', 100000)",
                                  "repeat('a,', 100000)", "repeat('(', 100000)", "repeat('[', 100000)"))
        choice = random.random()
        if choice < 0.03:
            return quote(random.choice(NO_UTF8))
        if choice < 0.5:
            return quote(random.choice(STRANGE))
        if choice < 0.7:
            return f"repeat({quote(random.choice(('x', '.', '-', ' ', '%', '0')))}, {random.choice(SIZES)})"
        if choice < 0.8:
            return quote(random.choice(SENSE.get(name, TOPICS)) + random.choice(STRANGE))
        if choice < 0.9:
            return quote(random.choice(JSON))
        return quote(self.characters(random.randrange(1, 40)))

    of_character_varying = of_text
    of_name = of_text

    def characters(self, count):
        random = self.random
        planes = ((1, 0x80), (1, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000))
        return "".join(chr(random.randrange(*random.choice(planes))) for _ in range(count))

    def of_jsonb(self, name, sense):
        random = self.random
        if name == "headers" and random.random() < 0.9:
            return quote(random.choice(HEADERS))
        if self.is_large():
            return f"({random.choice(JSON_LARGE)})"
        if random.random() < sense:
            return quote(self.result() if random.random() < 0.7 else random.choice(JSON))
        return quote(random.choice(NO_JSON if random.random() < 0.8 else STRANGE))

    of_json = of_jsonb

    def result(self):
        """JSON that the mapping "echo" turns into an integration event: what mappings return has to be checked as well."""
        random = self.random
        members = []
        for name, chance in (("topic", 0.4), ("event_type", 0.8), ("key", 0.3), ("payload", 0.6), ("data", 0.2), ("content_type", 0.2), ("data_schema", 0.2), ("headers", 0.3)):
            if random.random() >= chance:
                continue
            if name == "payload":
                text = random.choice(JSON if random.random() < 0.95 else NO_JSON)
            elif name == "headers":
                text = random.choice(HEADERS)
            elif name == "data":
                text = random.choice(('"\\\\x00ff"', '"\\\\x"', '"x"', "null", '"\\\\xzz"'))
            elif name in SENSE and random.random() < 0.6:
                text = json_string(random.choice(SENSE[name]))
            else:
                text = json_string(random.choice(STRANGE) * random.choice((1, 1, 1, 70, 1500)))
            members.append(f'"{name}": {text}')
        return "{" + ", ".join(members) + "}"

    def of_uuid(self, _name, sense):
        if self.random.random() < sense:
            return self.random.choice((quote(self.random.choice(UUIDS)), quote(self.random.choice(UUIDS[2:4])), "gen_random_uuid()"))
        return quote(self.random.choice(UUIDS + STRANGE))

    def of_bigint(self, _name, sense):
        if self.random.random() < sense:
            return quote(str(self.random.choice((self.random.randrange(10), 42, 32767, -32768))))
        return quote(self.random.choice(INTEGERS))

    of_integer = of_bigint
    of_smallint = of_bigint
    of_numeric = of_bigint
    of_double_precision = of_bigint
    of_oid = of_bigint
    of_xid8 = of_bigint

    def of_boolean(self, _name, _sense):
        return self.random.choice(("true", "false") * 6 + ("'t'", "'maybe'", "''", "'1'", "'of'"))

    def of_timestamp_with_time_zone(self, _name, sense):
        if self.random.random() < sense:
            return self.random.choice(("now()", "clock_timestamp()", "now() - interval '1 day'", "'2026-01-01 00:00:00+00'", "'infinity'", "'9999-12-31 23:59:59.999999+00'"))
        return quote(self.random.choice(TIMES))

    of_timestamp_without_time_zone = of_timestamp_with_time_zone

    def of_interval(self, _name, sense):
        if self.random.random() < sense:
            return "'1 day'"
        return quote(self.random.choice(INTERVALS))

    def of_bytea(self, _name, _sense):
        random = self.random
        if random.random() < 0.3:
            return f"'\\x{random.randbytes(random.randrange(60)).hex()}'"
        return random.choice(BYTES)

    def of_regclass(self, _name, sense):
        return quote(self.random.choice(RELATIONS[:3] if self.random.random() < sense else RELATIONS))

    def of_pg_lsn(self, _name, _sense):
        return self.random.choice(("'0/0'", "'FFFFFFFF/FFFFFFFF'", "pg_current_wal_lsn()", "'x'", "'1'"))

    def array(self, name, sense):
        random = self.random
        if random.random() < sense:
            pool = ARRAYS.get(name, COLUMNS)
            return "ARRAY[" + ", ".join(quote(random.choice(pool)) for _ in range(random.randrange(1, 4))) + "]"
        if self.is_large():
            return random.choice(("array_fill('x'::text, ARRAY[10000])", "array_fill('id'::text, ARRAY[100, 100])", "ARRAY[repeat('x', 1000000)]"))
        if random.random() < 0.5:
            return quote(random.choice(ARRAY_TEXTS))
        return "ARRAY[" + ", ".join(self.of_text("", 0) for _ in range(random.randrange(1, 4))) + "]"


def json_string(text):
    escapes = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(escapes.get(c, c if c >= " " else f"\\u{ord(c):04x}") for c in text) + '"'
