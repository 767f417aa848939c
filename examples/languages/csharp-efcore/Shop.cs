// How does a service with EF Core place an order with its event?  In one transaction, which is tried again when PostgreSQL says so.

using Microsoft.EntityFrameworkCore;
using Npgsql;

/// <summary>Whom a transaction is for: headers of each of its events.</summary>
public record Context(string User, string TraceParent);

public sealed class Shop(DbContextOptions<ShopContext> options)
{
    /// <summary>Runs the work in one transaction, with entities of its own; it may run several times.</summary>
    public async Task<T> InTransaction<T>(Context context, Func<ShopContext, Task<T>> work)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await using var database = new ShopContext(options);
                await using var transaction = await database.Database.BeginTransactionAsync(); // rolled back at its end, unless it is committed
                // true: SET LOCAL, gone at the end of the transaction, whoever is given the connection then
                await database.Database.ExecuteSqlAsync(
                    $"SELECT set_config('domev.context', jsonb_build_object('user', {context.User}, 'traceparent', {context.TraceParent})::text, true)");
                var result = await work(database);
                await database.SaveChangesAsync();
                await transaction.CommitAsync();
                return result;
            }
            catch (Exception e) when (attempt < 5 && MayTryAgain(e))
            {
            }
        }
    }

    public async Task<long> PlaceOrder(ShopContext database, int customer, decimal total)
    {
        var order = new Order { Customer = customer, Total = total };
        database.Add(order);
        await database.SaveChangesAsync(); // the id is there now
        database.Add(new OrderPlaced { Aggregate = order.Id.ToString(), Version = 1, Payload = DomainEvent.Json(new { customer, total }) });
        await database.SaveChangesAsync();
        return order.Id;
    }

    /// <summary>May be asked for again with the same id: nothing changes then.</summary>
    public async Task<Guid> CancelOrder(ShopContext database, Guid command, long order, string reason)
    {
        (await database.Orders.SingleAsync(o => o.Id == order)).Status = "cancelled";
        database.Add(new OrderCancelled { Id = command, Aggregate = order.ToString(), Payload = DomainEvent.Json(new { reason }) });
        await database.SaveChangesAsync();
        return command;
    }

    /// <summary>A serialization failure or a deadlock, also as the cause of another exception.</summary>
    private static bool MayTryAgain(Exception? e) =>
        e is PostgresException { SqlState: PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected }
        || (e is not null && MayTryAgain(e.InnerException));
}
