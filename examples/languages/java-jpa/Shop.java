// How does a service with JPA place an order with its event?  The event is an entity, whose table is the event type's view: to persist it is to emit.

import jakarta.persistence.Column;
import jakarta.persistence.Entity;
import jakarta.persistence.EntityManager;
import jakarta.persistence.EntityManagerFactory;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.GenerationType;
import jakarta.persistence.Id;
import jakarta.persistence.PersistenceConfiguration;
import jakarta.persistence.Table;
import java.math.BigDecimal;
import java.sql.SQLException;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import org.hibernate.annotations.Immutable;
import org.hibernate.annotations.JdbcTypeCode;
import org.hibernate.annotations.UuidGenerator;
import org.hibernate.type.SqlTypes;

public class Shop {
    @Entity(name = "Order") @Table(name = "orders")
    public static class Order {
        @Id @GeneratedValue(strategy = GenerationType.IDENTITY) Long id;
        @Column(updatable = false) int customer;
        @Column(updatable = false) BigDecimal total;
        String status = "placed";
    }

    /** Of a type, not a Map: Hibernate copies payloads by reading their JSON again, and reads 63.10 in a Map as the double 63.1. */
    public record Placed(int customer, BigDecimal total) { }

    public record Cancelled(String reason) { }

    @Entity(name = "OrderPlaced") @Immutable @Table(schema = "domev_event", name = "`order.placed`")
    public static class OrderPlaced {
        @Id @UuidGenerator(style = UuidGenerator.Style.VERSION_7) @Column(name = "event_id") UUID id;
        @Column(name = "aggregate_id") String order;
        @Column(name = "aggregate_version") Long version;
        @JdbcTypeCode(SqlTypes.JSON) Placed payload;
    }

    @Entity(name = "OrderCancelled") @Immutable @Table(schema = "domev_event", name = "`order.cancelled`")
    public static class OrderCancelled {
        @Id @Column(name = "event_id") UUID id; // the command's
        @Column(name = "aggregate_id") String order;
        @JdbcTypeCode(SqlTypes.JSON) Cancelled payload;
    }

    private static final Set<String> AGAIN = Set.of("40001", "40P01");

    private final EntityManagerFactory entities;

    Shop(EntityManagerFactory entities) { this.entities = entities; }

    /** One transaction, with headers that all its events bear; serialization failures and deadlocks are tried again, with entities of their own. */
    <T> T transaction(String user, String traceparent, Function<EntityManager, T> work) {
        for (int attempt = 1; ; attempt++) {
            try {
                return entities.callInTransaction(manager -> {
                    manager.createNativeQuery("SELECT set_config('domev.context', jsonb_build_object('user', :user, 'traceparent', :trace)::text, true)")
                        .setParameter("user", user).setParameter("trace", traceparent).getSingleResult();
                    return work.apply(manager);
                });
            } catch (RuntimeException e) {
                if (attempt == 5 || !AGAIN.contains(state(e))) throw e;
            }
        }
    }

    static String state(Throwable e) {
        while (e != null && !(e instanceof SQLException)) e = e.getCause();
        return e == null ? "" : ((SQLException) e).getSQLState();
    }

    long placeOrder(EntityManager manager, int customer, BigDecimal total) {
        Order order = new Order();
        order.customer = customer;
        order.total = total;
        manager.persist(order); // the id is there now
        OrderPlaced placed = new OrderPlaced();
        placed.order = String.valueOf(order.id);
        placed.version = 1L;
        placed.payload = new Placed(customer, total);
        manager.persist(placed); // emitted at the flush
        return order.id;
    }

    /** May be asked for again with the same id: nothing changes then. */
    UUID cancelOrder(EntityManager manager, UUID command, long order, String reason) {
        manager.find(Order.class, order).status = "cancelled";
        OrderCancelled cancelled = new OrderCancelled();
        cancelled.id = command;
        cancelled.order = String.valueOf(order);
        cancelled.payload = new Cancelled(reason);
        manager.persist(cancelled);
        return cancelled.id;
    }

    static EntityManagerFactory connect(String url) {
        return new PersistenceConfiguration("shop")
            .managedClass(Order.class).managedClass(OrderPlaced.class).managedClass(OrderCancelled.class)
            .property(PersistenceConfiguration.JDBC_URL, url)
            .createEntityManagerFactory();
    }

    public static void main(String[] arguments) {
        String trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        try (EntityManagerFactory entities = connect(System.getenv("SHOP_URL"))) {
            Shop shop = new Shop(entities);
            long order = shop.transaction("ann", trace, manager -> shop.placeOrder(manager, 7, new BigDecimal("63.10")));
            System.out.println("placed " + order);

            UUID command = UUID.fromString("0199a3c4-7d11-7abc-8def-000000000042"); // the client's, made before it first asked
            for (int time = 1; time <= 2; time++) {
                System.out.println("cancelled by " + shop.transaction("ann", trace, manager -> shop.cancelOrder(manager, command, order, "too late")));
            }

            try {
                shop.transaction("ann", trace, manager -> {
                    shop.placeOrder(manager, 8, new BigDecimal("12.50"));
                    manager.flush();
                    throw new IllegalStateException("payment was declined");
                });
            } catch (IllegalStateException e) {
                System.out.println("not placed: " + e.getMessage());
            }
        }
    }
}
