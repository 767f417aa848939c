"""What is called, and how?  Statements about domev: its functions as the catalog has them, and what else reaches its code."""

import random
import re

import values

# Members of the extension: so what is added to it is called as well.
FUNCTIONS = """
    SELECT p.oid::regprocedure::text, quote_ident(n.nspname) || '.' || quote_ident(p.proname), p.proname,
        coalesce(ARRAY(SELECT coalesce(p.proargnames[a.i], '') FROM generate_subscripts(p.proargtypes, 1) AS s (i),
            LATERAL (SELECT coalesce((SELECT m.i FROM unnest(p.proargmodes) WITH ORDINALITY AS m (mode, i)
                WHERE m.mode IN ('i', 'b', 'v') ORDER BY m.i LIMIT 1 OFFSET s.i), s.i + 1)) AS a (i)), '{}'),
        ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) AS t),
        p.pronargdefaults, p.prorettype = 'trigger'::regtype, p.prokind = 'p', coalesce(obj_description(p.oid, 'pg_proc'), '')
    FROM pg_depend AS d JOIN pg_extension AS e ON d.refobjid = e.oid JOIN pg_proc AS p ON d.objid = p.oid JOIN pg_namespace AS n ON p.pronamespace = n.oid
    WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'domev' ORDER BY 1"""

ROWS = (("id", "integer"), ("name", "text"), ("doc", "jsonb"), ("j", "json"), ("n", "numeric"), ("f", "double precision"),
        ("at", "timestamp with time zone"), ("list", "text[]"), ("bytes", "bytea"), ("uid", "uuid"))
EVENTS = (("id", "text"), ("type", "text"), ("payload", "json"), ("headers", "jsonb"), ("version", "bigint"), ("event_id", "uuid"),
          ("at", "timestamp with time zone"))
OUTBOX = (("event_id", "uuid"), ("recorded_at", "timestamp with time zone"), ("topic", "text"), ("event_type", "text"), ("mapping", "text"),
          ("causation_id", "uuid"), ("aggregate_type", "text"), ("aggregate_id", "text"), ("aggregate_version", "bigint"), ("key", "text"),
          ("payload", "json"), ("data", "bytea"), ("content_type", "text"), ("data_schema", "text"), ("headers", "json"),
          ("occurred_at", "timestamp with time zone"))
OPTION_VALUES = {
    "format": ("cloudevents", "protobuf"), "topics": ("*", "in", "out*", "in, out", "?n", "\\*"), "event_types": ("*", "echo", "made,x", "*\\,*"),
    "scope": ("internal", "external"), "shard": ("0/4", "3/4", "0/1", "1023/1024", "4/4", "0/0", "0/1025", "-1/4", "00001/4", "1/", "/", "9223372036854775808/4"),
    "origin": ("none", "any"), "replay": ("x", "x.y_z-1", "x/y", ""),
}
JOURNAL = ("trace", "find_trace", "remap")  # they read what a superuser may have written by hand
READERS = {"pg_logical_slot_peek_changes": 5, "pg_logical_slot_peek_binary_changes": 5, "pg_logical_slot_get_changes": 1, "pg_logical_slot_get_binary_changes": 1}


class Function:
    def __init__(self, row):
        (self.signature, self.call, self.name, names, types, self.defaults, self.is_trigger, self.is_procedure, self.comment) = row
        self.arguments = list(zip(names, types))


class Statement:
    """sql; about: the signatures or kinds that say which errors it may raise; arguments: [(expression, type)] to judge conversions by."""

    def __init__(self, sql, about=(), scopes=(), arguments=(), kind="function"):
        self.sql = sql
        self.about = about
        self.scopes = scopes
        self.arguments = arguments
        self.kind = kind


class Calls:
    def __init__(self, seed, functions, settings, options, only=None):
        self.random = random.Random(seed)
        self.values = values.Values(self.random)
        self.functions = [function for function in functions if only is None or re.search(only, function.signature)]
        self.by_name = {}
        for function in self.functions:
            self.by_name.setdefault(function.name, []).append(function)
        self.settings = settings
        self.options = options
        self.genuine = []  # contents of WAL messages that domev wrote
        self.views = []    # views of domev that take INSERTs: [(name, columns)]
        if only is not None:
            self.kinds = [(self.function_call, 1)]
        else:
            self.kinds = [(self.function_call, 73), (self.change_of_rows, 9), (self.option_call, 3), (self.message, 4), (self.row_by_hand, 3),
                          (self.trigger_by_hand, 1), (self.setting, 3), (self.prepared, 2), (self.view, 3)]

    def next(self):
        makers, weights = zip(*self.kinds)
        return self.random.choices(makers, weights)[0]()

    def sense(self):
        """How much of a call makes sense: all of it in many, as what is refused early reaches nothing else."""
        return self.random.choice((1, 1, 0.97, 0.95, 0.9, 0.7, 0.3))

    # Functions

    def function_call(self):
        """Each name as often as any other; emit, on which all hangs, more often."""
        rng = self.random
        name = "emit" if "emit" in self.by_name and rng.random() < 0.25 else rng.choice(list(self.by_name))
        if name.startswith("drop_") and rng.random() < 0.6:  # else there would soon be nothing left to be called with
            name = name.replace("drop_", "create_")
        function = rng.choice(self.by_name[name])
        texts, arguments, typed = self.arguments_of(function, self.sense())
        call = f"{function.call}({', '.join(texts)})"
        sql = rng.choice((f"SELECT * FROM {call}", f"SELECT {call}", f"SELECT {call}")) if not function.is_trigger else f"SELECT {call}"
        if function.is_procedure:
            sql = f"CALL {call}"
        elif rng.random() < 0.02:
            sql += " FROM generate_series(1, 3)" if sql.startswith(f"SELECT {call}") else ", generate_series(1, 3)"
        scopes = (("call",) if function.is_trigger or not typed else ()) + (("journal",) if name in JOURNAL else ())
        return Statement(sql, (function.signature,), scopes, arguments)

    def arguments_of(self, function, sense):
        """As they are written in the call; with their types; and whether all say their type."""
        rng = self.random
        mandatory = len(function.arguments) - function.defaults
        named = rng.random() < 0.5 and all(name for name, _ in function.arguments)
        chance = rng.random()
        texts, arguments, typed = [], [], True
        for i, (name, kind) in enumerate(function.arguments):
            if i >= mandatory and rng.random() > chance:
                if named:
                    continue
                break
            value = self.values.draw(kind, name, sense)
            arguments.append((value, kind))
            if rng.random() < 0.85:
                text = f"({value})::{kind}"
            else:
                text, typed = value, False
            texts.append(f"{name} => {text}" if named else text)
        return texts, arguments, typed

    def prepared(self):
        """As drivers send it: parameters without types."""
        function = self.random.choice(self.by_name[self.random.choice(("emit", "preview", "create_topic", "remap"))])
        count = len(function.arguments)
        sense = self.sense()
        drawn = [(self.values.draw(kind, name, sense), kind) for name, kind in function.arguments]
        sql = (f"DEALLOCATE ALL; PREPARE fuzz AS SELECT {function.call}({', '.join(f'${i + 1}' for i in range(count))});"
               f"EXECUTE fuzz ({', '.join(value for value, _ in drawn)})")
        about = tuple(other.signature for other in self.by_name[function.name])
        return Statement(sql, about, ("call", "prepared", "journal"), drawn + [(value, "text") for value, _ in drawn], "prepared")

    # Tables with captures, and views that emit

    def change_of_rows(self):
        rng = self.random
        about = tuple(function.signature for function in self.by_name.get("capture_change", ()))
        choice = rng.random()
        if choice < 0.4:
            return self.insert("fuzz.rows", ROWS, about, "change")
        if choice < 0.6:
            return self.insert("fuzz.events", EVENTS, about, "change")
        if choice < 0.85:
            sense = self.sense()
            drawn = [(column, self.values.draw(kind, column, sense), kind) for column, kind in ROWS if rng.random() < 0.4] or [("id", "1", "integer")]
            sets = ", ".join(f"{column} = ({value})::{kind}" for column, value, kind in drawn)
            return Statement(f"UPDATE fuzz.rows SET {sets} WHERE id = {rng.randrange(10)}", about, ("mapping",), [drawn_[1:] for drawn_ in drawn], "change")
        if choice < 0.95:
            return Statement(f"DELETE FROM fuzz.rows WHERE id = {rng.randrange(10)} OR id IS NULL", about, ("mapping",), (), "change")
        return Statement("TRUNCATE fuzz.rows, fuzz.events", about, ("mapping",), (), "change")

    def insert(self, table, columns, about, kind, fixed=(), scopes=("mapping",), needed=("id",)):
        rng, sense = self.random, self.sense()
        drawn = [(column, self.values.draw(type_, column, sense), type_) for column, type_ in columns if rng.random() < 0.8 or column in needed]
        names = ", ".join([column for column, _, _ in drawn] + [column for column, _ in fixed])
        texts = ", ".join([f"({value})::{type_}" for _, value, type_ in drawn] + [value for _, value in fixed])
        return Statement(f"INSERT INTO {table} ({names}) VALUES ({texts})", about, scopes, [(value, type_) for _, value, type_ in drawn], kind)

    def view(self):
        if not self.views:
            return self.function_call()
        name, columns = self.random.choice(self.views)
        about = tuple(function.signature for function in self.functions if function.name in ("emit_inserted", "emit"))
        return self.insert(name, columns, about, "view", scopes=("mapping", "view"), needed=("aggregate_id", columns[0][0]))

    # What is decoded

    def message(self):
        """A WAL message under domev's prefix that domev did not write."""
        rng = self.random
        content = rng.randbytes(rng.choice((0, 1, 10, 41, 42, 43, 100, 2000)))
        if self.genuine and rng.random() < 0.6:
            content = bytearray(rng.choice(self.genuine))
            change = rng.random()
            if change < 0.4:
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            elif change < 0.6:
                del content[rng.randrange(len(content)):]
            elif change < 0.8:
                del content[:rng.randrange(len(content))]
        prefix = rng.choice([values.quote("domev/" + topic) for topic in values.TOPICS] +
                            ["'domev.replay/x/in'", "'domev.replay/'", "'domev.replay/x'", "'domev.replay/' || repeat('x', 200) || '/in'", "'domev/'", "'domev'", "'domev.heartbeat'", "'domev/' || repeat('x', 64)", "'domev/' || repeat('x', 1000000)", "'domev/\udcff'", "'domev/a/b'"])
        return Statement(f"SELECT pg_logical_emit_message({rng.choice(('true', 'true', 'false'))}, {prefix}, '\\x{bytes(content).hex()}'::bytea)",
                         (), ("call",), (), "message")

    def row_by_hand(self):
        """A row of the outbox that a superuser has written."""
        rng = self.random
        fixed = [("xact_id", rng.choice(("pg_current_xact_id()", "pg_current_xact_id()", "'0'", "'18446744073709551615'")))]
        needed = ("event_id", "recorded_at", "event_type", "aggregate_type", "aggregate_id", "occurred_at", "topic")
        return self.insert("domev.outbox", OUTBOX, (), "row", fixed, ("outbox",), needed if rng.random() < 0.95 else needed[:1])

    # The output plugin's options

    def option_call(self):
        rng = self.random
        reader = rng.choices(list(READERS), list(READERS.values()))[0]
        texts = []
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            name = rng.choice(self.options) if rng.random() < 0.85 else rng.choice(("include-xids", "", "Format", "format ", "topic", "proto_version", "messages"))
            texts += [values.quote(name), self.option_value(name)]
        if rng.random() < 0.03:
            texts = rng.choice((["'format'"], ["NULL", "'x'"], ["'scope'", "NULL"], ["repeat('x', 1000000)", "'x'"], ["'a\udcff'", "'x'"]))
        options = f", VARIADIC ARRAY[{', '.join(texts)}]::text[]" if texts else ""
        if rng.random() < 0.02:
            options = ", VARIADIC " + rng.choice(("'{{format,protobuf}}'::text[]", "'[5:6]={format,protobuf}'::text[]", "NULL::text[]", "'{}'::text[]"))
        return Statement(f"SELECT data FROM {reader}('fuzz', NULL, {rng.choice(('1', '3', 'NULL', '0', '-1'))}{options})", (), ("option", "call"), (), "option")

    def option_value(self, name):
        if self.random.random() < 0.5 and name in OPTION_VALUES:
            return values.quote(self.random.choice(OPTION_VALUES[name]))
        return self.values.of_text(name, 0.2)

    def start_command(self):
        """The same over the replication protocol, where an option may have no value; None: psycopg2 cannot send it."""
        rng = self.random
        texts = []
        for _ in range(rng.choice((0, 1, 2, 2))):
            name = rng.choice(self.options) if rng.random() < 0.85 else rng.choice(("Format", "x", "a b"))
            value = rng.choice(OPTION_VALUES.get(name, ("x",)) + values.STRANGE)
            texts.append('"' + name + '"' + rng.choice(("", " " + values.quote(value), " " + values.quote(value))))
        command = "START_REPLICATION SLOT fuzz LOGICAL 0/0" + (f" ({', '.join(texts)})" if texts else "")
        return command if not re.search("[\ud800-\udfff%]", command) else None

    # Triggers made by hand, settings

    def trigger_by_hand(self):
        """One of domev's trigger functions on a table that it is not for, with arguments that nobody wrote; and then a change."""
        rng = self.random
        function = rng.choice([function for function in self.functions if function.is_trigger])
        definition = rng.choice(('{"aggregate_id": "id", "event_type": "echo"}', '{"aggregate_id": "id", "event_type_column": "x", "payload_column": "j"}',
                                 '{"event_type": "none"}', '{"aggregate_id": ["id"]}', '{"aggregate_id": "id", "event_type": "echo", "columns": ["id", "nope"]}',
                                 '{"aggregate_id": "", "event_type": ""}', "[]", "", "{", '{"columns": {"a": 1}}', '{"aggregate_id": "x", "event_type": "wal", "ignore": []}'))
        arguments = [values.quote("made"), values.quote(definition)]
        if rng.random() < 0.3:
            arguments = [self.literal() for _ in range(rng.randrange(4))]
        timing = rng.choice(("BEFORE", "AFTER", "AFTER"))
        event = rng.choice(("INSERT", "UPDATE", "DELETE", "TRUNCATE", "INSERT OR UPDATE OR DELETE"))
        level = rng.choice(("ROW", "STATEMENT")) if event != "TRUNCATE" else "STATEMENT"
        kind = "CONSTRAINT " if timing == "AFTER" and level == "ROW" and rng.random() < 0.2 else ""
        sql = (f"CREATE TABLE fuzz.made (id int, x text, j json); CREATE {kind}TRIGGER made {timing} {event} ON fuzz.made FOR EACH {level} "
               f"EXECUTE FUNCTION {function.call}({', '.join(arguments)});"
               f"INSERT INTO fuzz.made VALUES (1, {self.literal()}, '{{\"a\": 1}}'), (NULL, NULL, NULL); UPDATE fuzz.made SET id = 2; DELETE FROM fuzz.made;"
               "TRUNCATE fuzz.made; SELECT count(*) FROM domev.captures; DROP TABLE fuzz.made")
        return Statement(sql, (function.signature,), ("call", "statement", "mapping"), (), "trigger")

    def literal(self):
        return values.quote(self.random.choice(values.STRANGE + values.EVENT_TYPES))

    def setting(self):
        rng = self.random
        name = rng.choice(self.settings)
        pool = {"context": values.HEADERS, "guard": ("off", "warning", "error"), "keep": ("on", "off"), "size": ("1kB", "64MB", "64MB", "0", "-1", "256MB", "257MB", "1e9")}
        known = next((texts for part, texts in pool.items() if part in name), ("on", "off", "0"))
        value = rng.choice(known) if rng.random() < 0.7 else rng.choice(values.STRANGE + values.JSON)
        sql = f"SET {rng.choice(('LOCAL ', 'LOCAL ', ''))}{name} = {values.quote(value)}"
        if rng.random() < 0.3:
            sql = f"RESET {name}"
        return Statement(sql, (), ("statement", "call"), (), "setting")
