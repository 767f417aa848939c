// Do domev.emit and an event's view take what pgjdbc sends, in each of its modes, before and after it prepares on the server?
// Argument: the JDBC URL of a database with examples/languages/shop.sql.  Prints a line for each question: "ok" or "not ok", and the answer.

import java.math.BigDecimal;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import org.postgresql.util.PGobject;

public class Driver {
    interface Setter { void set(PreparedStatement statement, int index) throws SQLException; }

    interface Question { Object ask() throws SQLException; }

    static final int TIMES = 7; // the fifth is the first that the server prepares
    static final String EMIT = "SELECT domev.emit('order.cancelled', ?, ?)";
    static final String VIEW = "domev_event.\"order.cancelled\"";

    static Connection connection;
    static String mode;
    static boolean differ;

    static PGobject json(String type, String text) throws SQLException {
        PGobject json = new PGobject();
        json.setType(type);
        json.setValue(text);
        return json;
    }

    static Map<String, Setter> ids() {
        Map<String, Setter> ids = new LinkedHashMap<>();
        ids.put("setLong", (s, i) -> s.setLong(i, 42));
        ids.put("setInt", (s, i) -> s.setInt(i, 42));
        ids.put("setShort", (s, i) -> s.setShort(i, (short) 42));
        ids.put("setString", (s, i) -> s.setString(i, "42"));
        ids.put("setObject(UUID)", (s, i) -> s.setObject(i, new UUID(7, 42)));
        ids.put("setObject(String, OTHER)", (s, i) -> s.setObject(i, "42", Types.OTHER));
        ids.put("setBigDecimal", (s, i) -> s.setBigDecimal(i, new BigDecimal(42)));
        return ids;
    }

    static Map<String, Setter> payloads() {
        Map<String, Setter> payloads = new LinkedHashMap<>();
        String text = "{\"total\": 63.10}";
        payloads.put("setString", (s, i) -> s.setString(i, text));
        payloads.put("PGobject jsonb", (s, i) -> s.setObject(i, json("jsonb", text)));
        payloads.put("PGobject json", (s, i) -> s.setObject(i, json("json", text)));
        payloads.put("setObject(String, OTHER)", (s, i) -> s.setObject(i, text, Types.OTHER));
        return payloads;
    }

    static void say(String question, String expected, Question asked) {
        String answer;
        try {
            answer = String.valueOf(asked.ask());
        } catch (SQLException e) {
            answer = e.getSQLState() + " " + e.getMessage().lines().findFirst().orElse("");
        }
        boolean same = answer.startsWith(expected);
        differ |= !same;
        System.out.printf("%s - %s: %s: %s%s%n", same ? "ok" : "not ok", mode, question, answer, same ? "" : ", not " + expected);
    }

    /** One statement object, executed as often as it takes to be prepared on the server; the last answer. */
    static String emit(Setter id, Setter payload) throws SQLException {
        String kept = null;
        try (PreparedStatement statement = connection.prepareStatement(EMIT)) {
            for (int time = 0; time < TIMES; time++) {
                id.set(statement, 1);
                payload.set(statement, 2);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    kept = kept(rows.getObject(1, UUID.class));
                }
            }
        }
        return kept;
    }

    /** The aggregate's id and the payload that the event was given. */
    static String kept(UUID event) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT aggregate_id, payload FROM " + VIEW + " WHERE event_id = ?")) {
            statement.setObject(1, event);
            try (ResultSet rows = statement.executeQuery()) {
                return rows.next() ? rows.getString(1) + " " + rows.getString(2) : "nothing";
            }
        }
    }

    static void askForms() {
        payloads().forEach((payload, setPayload) -> ids().forEach((id, setId) -> {
            String wanted = id.contains("UUID") ? new UUID(7, 42) + " {\"total\": 63.10}" : "42 {\"total\": 63.10}";
            say("id by " + id + ", payload by " + payload, id.equals("setBigDecimal") ? "42883" : wanted, // numeric is no id
                () -> emit(setId, setPayload));
        }));
    }

    static String typeOf(Setter value) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT pg_typeof(?)")) {
            value.set(statement, 1);
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getString(1);
            }
        }
    }

    static void askTypes() {
        String[] types = {"bigint", "integer", "smallint", "character varying", "uuid", "42P18 ", "numeric"}; // 42P18: left to the server
        int i = 0;
        for (Map.Entry<String, Setter> id : ids().entrySet()) say("type by " + id.getKey(), types[i++], () -> typeOf(id.getValue()));
    }

    /** One prepared statement whose parameters change their types. */
    static String switchTypes() throws SQLException {
        String kept = "";
        try (PreparedStatement statement = connection.prepareStatement(EMIT)) {
            for (int time = 0; time < 2 * TIMES; time++) {
                if (time % 2 == 0) statement.setLong(1, 42);
                else statement.setString(1, "42");
                statement.setObject(2, json(time % 2 == 0 ? "jsonb" : "json", "{\"time\": " + time + "}"));
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    kept = kept(rows.getObject(1, UUID.class));
                }
            }
        }
        return kept;
    }

    static String call() throws SQLException {
        try (CallableStatement statement = connection.prepareCall("{? = call domev.emit('order.cancelled', ?, ?)}")) {
            statement.registerOutParameter(1, Types.OTHER);
            statement.setLong(2, 42);
            statement.setObject(3, json("jsonb", "{}"));
            statement.execute();
            return kept((UUID) statement.getObject(1));
        }
    }

    /** How many of 20 events there are, how many ids, and whether they are in order; rolls back. */
    static String batch(String sql) throws SQLException {
        connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 10; i < 30; i++) {
                statement.setString(1, "batch");
                statement.setObject(2, json("jsonb", "{\"i\": " + i + "}"));
                statement.addBatch();
            }
            statement.executeBatch();
            try (ResultSet rows = statement.getConnection().createStatement().executeQuery("SELECT count(*) || ' ' || count(DISTINCT event_id) || ' ' || "
                    + "(array_agg(event_id ORDER BY event_id) = array_agg(event_id ORDER BY payload->'i')) FROM " + VIEW + " WHERE aggregate_id = 'batch'")) {
                rows.next();
                return rows.getString(1);
            }
        } finally {
            connection.rollback();
            connection.setAutoCommit(true);
        }
    }

    static String arrays() throws SQLException {
        String sql = "SELECT count(domev.emit('order.cancelled', id, payload::jsonb)) FROM unnest(?::bigint[], ?::text[]) AS events (id, payload)";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setArray(1, connection.createArrayOf("bigint", new Long[] {1L, 2L, 3L}));
            statement.setArray(2, connection.createArrayOf("text", new String[] {"{}", "{}", "{}"}));
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getString(1);
            }
        }
    }

    static String generatedKey() throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(
                "INSERT INTO " + VIEW + " (aggregate_id, payload) VALUES (?, ?)", new String[] {"event_id"})) {
            statement.setString(1, "42");
            statement.setObject(2, json("jsonb", "{}"));
            int rows = statement.executeUpdate();
            try (ResultSet keys = statement.getGeneratedKeys()) {
                keys.next();
                return rows + " " + kept(keys.getObject(1, UUID.class));
            }
        }
    }

    public static void main(String[] arguments) throws SQLException {
        for (String properties : new String[] {"preferQueryMode=extended", "preferQueryMode=extended&prepareThreshold=1",
                "preferQueryMode=extended&prepareThreshold=0", "preferQueryMode=extendedForPrepared", "preferQueryMode=extendedCacheEverything",
                "preferQueryMode=simple", "reWriteBatchedInserts=true", "stringtype=unspecified", "binaryTransfer=false"}) {
            mode = properties.replace("preferQueryMode=", "");
            try (Connection opened = DriverManager.getConnection(arguments[0] + "&" + properties)) {
                connection = opened;
                if (mode.equals("extended")) askTypes();
                askForms();
                say("one statement, types that change", "42 {\"time\": 13}", Driver::switchTypes);
                // In simple mode the driver sends the result as a fourth argument.
                say("CallableStatement", mode.equals("simple") ? "42883" : "42 {}", Driver::call);
                say("a batch of emits", "20 20 true", () -> batch(EMIT));
                say("a batch of rows for the view", "20 20 true", () -> batch("INSERT INTO " + VIEW + " (aggregate_id, payload) VALUES (?, ?)"));
                say("arrays", "3", Driver::arrays);
                say("generated key of the view", "1 42 {}", Driver::generatedKey);
            }
        }
        System.exit(differ ? 1 : 0);
    }
}
