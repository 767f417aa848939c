// How does a service with Npgsql place an order with its event?  In one transaction, which is tried again when PostgreSQL says so.

using Npgsql;

/// <summary>Whom a transaction is for: headers of each of its events.</summary>
public record Context(string User, string TraceParent);

public sealed class Shop(NpgsqlDataSource pool)
{
    /// <summary>Runs the work in one transaction; it may run several times.</summary>
    public async Task<T> InTransaction<T>(Context context, Func<NpgsqlConnection, Task<T>> work)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await using var connection = await pool.OpenConnectionAsync();
                await using var transaction = await connection.BeginTransactionAsync(); // rolled back at its end, unless it is committed
                // true: SET LOCAL, gone at the end of the transaction, whoever is given the connection then
                await One<string>(connection, "SELECT set_config('domev.context', jsonb_build_object('user', $1, 'traceparent', $2)::text, true)",
                    context.User, context.TraceParent);
                var result = await work(connection);
                await transaction.CommitAsync();
                return result;
            }
            catch (PostgresException e) when (attempt < 5
                && e.SqlState is PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected)
            {
            }
        }
    }

    public async Task<long> PlaceOrder(NpgsqlConnection connection, int customer, decimal total)
    {
        var order = await One<long>(connection, "INSERT INTO orders (customer, total) VALUES ($1, $2) RETURNING id", customer, total);
        await One<Guid>(connection,
            "SELECT domev.emit('order.placed', $1, jsonb_build_object('customer', $2, 'total', $3), aggregate_version => 1)",
            order, customer, total);
        return order;
    }

    /// <summary>May be asked for again with the same id: the UPDATE changes nothing then, nor does emit.</summary>
    public async Task<Guid> CancelOrder(NpgsqlConnection connection, Guid command, long order, string reason)
    {
        await One<long>(connection, "UPDATE orders SET status = 'cancelled' WHERE id = $1 RETURNING id", order);
        return await One<Guid>(connection,
            "SELECT domev.emit('order.cancelled', $1, jsonb_build_object('reason', $2), event_id => $3)", order, reason, command);
    }

    /// <summary>Runs a statement that returns one value.</summary>
    private static async Task<T> One<T>(NpgsqlConnection connection, string sql, params object[] values)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var value in values) command.Parameters.Add(new NpgsqlParameter { Value = value });
        return (T)(await command.ExecuteScalarAsync() ?? throw new InvalidOperationException("no row: " + sql));
    }
}
