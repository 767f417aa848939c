// How does a service with JDBC place an order with its event?  In one transaction, which is tried again when PostgreSQL says so.

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Set;
import java.util.UUID;
import javax.sql.DataSource;
import org.postgresql.ds.PGSimpleDataSource;

public class Shop {
    /** The work of a transaction: it may run several times. */
    interface Work<T> { T in(Connection connection) throws SQLException; }

    /** Whom the transaction is for: headers of each of its events. */
    record Context(String user, String traceparent) { }

    /** Serialization failures and deadlocks: the same may succeed when it is tried again. */
    private static final Set<String> AGAIN = Set.of("40001", "40P01");

    private final DataSource pool;

    Shop(DataSource pool) { this.pool = pool; }

    <T> T transaction(Context context, Work<T> work) throws SQLException {
        for (int attempt = 1; ; attempt++) {
            try (Connection connection = pool.getConnection()) {
                connection.setAutoCommit(false);
                try {
                    // true: SET LOCAL, gone at the end of the transaction, whoever is given the connection then
                    one(connection, "SELECT set_config('domev.context', jsonb_build_object('user', ?::text, 'traceparent', ?::text)::text, true)",
                        context.user, context.traceparent);
                    T result = work.in(connection);
                    connection.commit();
                    return result;
                } catch (Throwable e) {
                    connection.rollback();
                    if (attempt == 5 || !(e instanceof SQLException s && AGAIN.contains(s.getSQLState()))) throw e;
                }
            }
        }
    }

    long placeOrder(Connection connection, int customer, BigDecimal total) throws SQLException {
        Long order = (Long) one(connection, "INSERT INTO orders (customer, total) VALUES (?, ?) RETURNING id", customer, total);
        one(connection, "SELECT domev.emit('order.placed', ?, jsonb_build_object('customer', ?, 'total', ?), aggregate_version => 1)",
            order, customer, total);
        return order;
    }

    /** May be asked for again with the same id: the UPDATE changes nothing then, nor does emit. */
    UUID cancelOrder(Connection connection, UUID command, long order, String reason) throws SQLException {
        one(connection, "UPDATE orders SET status = 'cancelled' WHERE id = ? RETURNING id", order);
        return (UUID) one(connection, "SELECT domev.emit('order.cancelled', ?, jsonb_build_object('reason', ?::text), event_id => ?)",
            order, reason, command);
    }

    /** Runs a statement that returns one value. */
    static Object one(Connection connection, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
            try (ResultSet rows = statement.executeQuery()) {
                if (!rows.next()) throw new SQLException("no row: " + sql, "02000");
                return rows.getObject(1);
            }
        }
    }

    public static void main(String[] arguments) throws SQLException {
        PGSimpleDataSource pool = new PGSimpleDataSource();
        pool.setUrl(System.getenv("SHOP_URL"));
        Shop shop = new Shop(pool);
        Context ann = new Context("ann", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

        long order = shop.transaction(ann, connection -> shop.placeOrder(connection, 7, new BigDecimal("63.10")));
        System.out.println("placed " + order);

        UUID command = UUID.fromString("0199a3c4-7d11-7abc-8def-000000000042"); // the client's, made before it first asked
        for (int time = 1; time <= 2; time++) {
            System.out.println("cancelled by " + shop.transaction(ann, connection -> shop.cancelOrder(connection, command, order, "too late")));
        }

        try {
            shop.transaction(ann, connection -> {
                shop.placeOrder(connection, 8, new BigDecimal("12.50"));
                throw new IllegalStateException("payment was declined");
            });
        } catch (IllegalStateException e) {
            System.out.println("not placed: " + e.getMessage());
        }
    }
}
