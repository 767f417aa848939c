// What are the entities?  An event is one, whose table is its type's view: to add it is to emit.

using System.Text.Json;
using Microsoft.EntityFrameworkCore;

public class Order
{
    public long Id { get; set; }
    public int Customer { get; set; }
    public decimal Total { get; set; }
    public string Status { get; set; } = "placed";
}

/// <summary>What event types have in common; it is no entity itself.</summary>
public abstract class DomainEvent
{
    public Guid Id { get; init; } = Guid.CreateVersion7();
    public required string Aggregate { get; init; }
    public long? Version { get; init; }
    public required string Payload { get; init; } // JSON: a decimal keeps its digits, 63.10 is 63.10

    public static string Json(object payload) => JsonSerializer.Serialize(payload);
}

public class OrderPlaced : DomainEvent;

public class OrderCancelled : DomainEvent;

public class ShopContext(DbContextOptions<ShopContext> options) : DbContext(options)
{
    public DbSet<Order> Orders => Set<Order>();

    protected override void OnModelCreating(ModelBuilder model)
    {
        model.Entity<Order>(order =>
        {
            order.ToTable("orders");
            order.Property(o => o.Id).HasColumnName("id").UseIdentityAlwaysColumn();
            order.Property(o => o.Customer).HasColumnName("customer");
            order.Property(o => o.Total).HasColumnName("total").HasColumnType("numeric(10,2)");
            order.Property(o => o.Status).HasColumnName("status");
        });
        MapEvent<OrderPlaced>(model, "order.placed");
        MapEvent<OrderCancelled>(model, "order.cancelled");
    }

    private static void MapEvent<T>(ModelBuilder model, string eventType) where T : DomainEvent
    {
        model.Entity<T>(e =>
        {
            e.ToTable(eventType, "domev_event", table => table.ExcludeFromMigrations());
            e.HasKey(o => o.Id);
            e.Property(o => o.Id).HasColumnName("event_id").ValueGeneratedNever(); // so that nothing is read back
            e.Property(o => o.Aggregate).HasColumnName("aggregate_id");
            e.Property(o => o.Version).HasColumnName("aggregate_version");
            e.Property(o => o.Payload).HasColumnName("payload").HasColumnType("jsonb");
        });
    }
}
