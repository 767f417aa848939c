// In which ways can Hibernate have an event's view for an entity, and which rights does each take?
// Arguments: the JDBC URLs of a database with examples/languages/shop.sql, once as shop_app, who may only emit, once as who may also read.
// Prints a line for each question: "ok" or "not ok", and the answer.

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
import java.time.Instant;
import java.util.Map;
import java.util.UUID;
import java.util.function.Function;
import org.hibernate.annotations.Generated;
import org.hibernate.annotations.Immutable;
import org.hibernate.annotations.JdbcTypeCode;
import org.hibernate.annotations.UuidGenerator;
import org.hibernate.type.SqlTypes;

public class Views {
    static final String SCHEMA = "domev_event";
    static final String NAME = "`order.placed`";

    public record Placed(int customer, BigDecimal total) { }

    /** Hibernate makes the id. */
    @Entity @Immutable @Table(schema = SCHEMA, name = NAME)
    public static class MadeId {
        @Id @UuidGenerator(style = UuidGenerator.Style.VERSION_7) @Column(name = "event_id") UUID id;
        @Column(name = "aggregate_id") String order;
        @JdbcTypeCode(SqlTypes.JSON) Placed payload;
    }

    /** domev makes the id, and Hibernate reads it. */
    @Entity @Immutable @Table(schema = SCHEMA, name = NAME)
    public static class ReadId {
        @Id @Generated @Column(name = "event_id") UUID id;
        @Column(name = "aggregate_id") String order;
        @JdbcTypeCode(SqlTypes.JSON) Placed payload;
    }

    /** The same, by JPA's own annotation. */
    @Entity @Immutable @Table(schema = SCHEMA, name = NAME)
    public static class IdentityId {
        @Id @GeneratedValue(strategy = GenerationType.IDENTITY) @Column(name = "event_id") UUID id;
        @Column(name = "aggregate_id") String order;
        @JdbcTypeCode(SqlTypes.JSON) Placed payload;
    }

    /** domev makes the id, and nobody asks; the aggregate's id is the entity's: for what happens once to an aggregate. */
    @Entity @Immutable @Table(schema = SCHEMA, name = NAME)
    public static class NoId {
        @Id @Column(name = "aggregate_id") String order;
        @JdbcTypeCode(SqlTypes.JSON) Placed payload;
    }

    @Entity @Immutable @Table(schema = SCHEMA, name = NAME)
    public static class Mapped {
        @Id @UuidGenerator(style = UuidGenerator.Style.VERSION_7) @Column(name = "event_id") UUID id;
        @Column(name = "aggregate_id") String order;
        @JdbcTypeCode(SqlTypes.JSON) Map<String, Object> payload;
    }

    /** What domev fills in, to be read. */
    @Entity @Immutable @Table(schema = SCHEMA, name = NAME)
    public static class Read {
        @Id @Column(name = "event_id") UUID id;
        @Column(name = "aggregate_id") String order;
        @Column(name = "aggregate_version") Long version;
        @JdbcTypeCode(SqlTypes.JSON) Placed payload;
        @JdbcTypeCode(SqlTypes.JSON) Map<String, Object> headers;
        @Column(name = "occurred_at") Instant occurredAt;
        @Column(name = "recorded_at", insertable = false) Instant recordedAt;
    }

    @Entity @Immutable @Table(schema = SCHEMA, name = "`order.cancelled`")
    public static class Cancelled {
        @Id @UuidGenerator(style = UuidGenerator.Style.VERSION_7) @Column(name = "event_id") UUID id;
        @Column(name = "aggregate_id") String order;
        @Column(name = "occurred_at", insertable = false) Instant occurredAt;
    }

    /** Not @Immutable. */
    @Entity @Table(schema = SCHEMA, name = NAME)
    public static class Mutable {
        @Id @UuidGenerator(style = UuidGenerator.Style.VERSION_7) @Column(name = "event_id") UUID id;
        @Column(name = "aggregate_id") String order;
        @JdbcTypeCode(SqlTypes.JSON) Placed payload;
    }

    static boolean differ;

    static EntityManagerFactory connect(String url, String... properties) {
        PersistenceConfiguration configuration = new PersistenceConfiguration("views").property(PersistenceConfiguration.JDBC_URL, url);
        for (Class<?> entity : new Class<?>[] {MadeId.class, ReadId.class, IdentityId.class, NoId.class, Mapped.class, Read.class, Cancelled.class, Mutable.class}) {
            configuration.managedClass(entity);
        }
        for (int i = 0; i < properties.length; i += 2) configuration.property(properties[i], properties[i + 1]);
        return configuration.createEntityManagerFactory();
    }

    static void say(EntityManagerFactory entities, String question, String expected, Function<EntityManager, Object> asked) {
        String answer;
        try {
            answer = String.valueOf(entities.callInTransaction(asked::apply));
        } catch (RuntimeException e) {
            Throwable cause = e;
            while (cause.getCause() != null && !(cause instanceof SQLException)) cause = cause.getCause();
            answer = cause instanceof SQLException sql ? sql.getSQLState() + " " + sql.getMessage().lines().findFirst().orElse("") : cause.toString();
        }
        boolean same = answer.replaceFirst("^(.{5}) ERROR: .*", "$1").equals(expected);
        differ |= !same;
        System.out.printf("%s - %s: %s%s%n", same ? "ok" : "not ok", question, answer, same ? "" : ", not " + expected);
    }

    static final Placed PLACED = new Placed(7, new BigDecimal("63.10"));

    static Object madeId(EntityManager manager) {
        MadeId event = new MadeId();
        event.order = "1";
        event.payload = PLACED;
        manager.persist(event);
        manager.flush();
        return event.id.version();
    }

    static Object readId(EntityManager manager) {
        ReadId event = new ReadId();
        event.order = "1";
        event.payload = PLACED;
        manager.persist(event);
        manager.flush();
        return event.id.version() + " " + manager.createQuery("SELECT payload FROM Views$Read WHERE id = :id").setParameter("id", event.id).getSingleResult();
    }

    static Object identityId(EntityManager manager) {
        IdentityId event = new IdentityId();
        event.order = "1";
        event.payload = PLACED;
        manager.persist(event);
        return event.id.version();
    }

    static Object noId(EntityManager manager) {
        NoId event = new NoId();
        event.order = "1";
        event.payload = PLACED;
        manager.persist(event);
        manager.flush();
        return event.order;
    }

    static Object mapped(EntityManager manager) {
        Mapped event = new Mapped();
        event.order = "1";
        event.payload = Map.of("total", new BigDecimal("63.10"));
        manager.persist(event);
        manager.flush();
        return manager.createNativeQuery("SELECT payload->>'total' FROM domev_event.\"order.placed\" WHERE event_id = :id")
            .setParameter("id", event.id).getSingleResult();
    }

    static Object read(EntityManager manager) {
        MadeId event = new MadeId();
        event.order = "read";
        event.payload = PLACED;
        manager.persist(event);
        manager.flush();
        Read read = manager.find(Read.class, event.id);
        return read.payload + " " + (read.occurredAt != null && read.recordedAt != null);
    }

    static Object many(EntityManager manager) {
        for (int i = 0; i < 50; i++) {
            MadeId event = new MadeId();
            event.order = "many";
            event.payload = new Placed(i, BigDecimal.ONE);
            manager.persist(event);
        }
        manager.flush();
        return manager.createQuery("SELECT count(*) FROM Views$Read WHERE order = 'many'").getSingleResult();
    }

    /** Two of one type, with one of another between them. */
    static Object inOrder(EntityManager manager) {
        String order = UUID.randomUUID().toString();
        for (int i = 0; i < 3; i++) {
            if (i == 1) {
                Cancelled event = new Cancelled();
                event.order = order;
                manager.persist(event);
            } else {
                MadeId event = new MadeId();
                event.order = order;
                event.payload = PLACED;
                manager.persist(event);
            }
        }
        manager.flush();
        return manager.createNativeQuery("SELECT string_agg(type, ' ' ORDER BY occurred_at) FROM ("
                + "SELECT 'placed' AS type, occurred_at, aggregate_id FROM domev_event.\"order.placed\" UNION ALL "
                + "SELECT 'cancelled', occurred_at, aggregate_id FROM domev_event.\"order.cancelled\") AS e WHERE aggregate_id = :order")
            .setParameter("order", order).getSingleResult();
    }

    static Object change(EntityManager manager) {
        Mutable event = new Mutable();
        event.order = "1";
        event.payload = PLACED;
        manager.persist(event);
        manager.flush();
        event.order = "2";
        manager.flush();
        return "changed";
    }

    static Object remove(EntityManager manager) {
        MadeId event = new MadeId();
        event.order = "1";
        event.payload = PLACED;
        manager.persist(event);
        manager.flush();
        manager.remove(event);
        manager.flush();
        return "removed";
    }

    public static void main(String[] arguments) {
        try (EntityManagerFactory app = connect(arguments[0]); EntityManagerFactory reader = connect(arguments[1], "hibernate.hbm2ddl.auto", "validate");
                EntityManagerFactory batches = connect(arguments[1] + "&reWriteBatchedInserts=true", "hibernate.jdbc.batch_size", "20");
                EntityManagerFactory sorted = connect(arguments[1], "hibernate.order_inserts", "true", "hibernate.jdbc.batch_size", "20")) {
            say(app, "an id that Hibernate makes, without SELECT", "7", Views::madeId);
            say(app, "an id that domev makes, without SELECT", "42501", Views::readId);
            say(app, "GenerationType.IDENTITY, without SELECT", "42501", Views::identityId);
            say(app, "no id, without SELECT", "1", Views::noId);
            say(reader, "an id that domev makes", "7 Placed[customer=7, total=63.10]", Views::readId);
            say(reader, "GenerationType.IDENTITY", "7", Views::identityId);
            say(reader, "a total of 63.10 in a Map", "63.1", Views::mapped);
            say(reader, "an entity to read", "Placed[customer=7, total=63.10] true", Views::read);
            say(batches, "batches that the driver rewrites", "50", Views::many);
            say(reader, "events of two types", "placed cancelled placed", Views::inOrder);
            say(sorted, "events of two types, with order_inserts", "placed placed cancelled", Views::inOrder);
            say(reader, "an event that is changed", "55000", Views::change);
            say(reader, "an event that is removed", "55000", Views::remove);
        }
        System.exit(differ ? 1 : 0);
    }
}
