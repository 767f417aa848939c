// The story of the examples: an order is placed, then cancelled twice by one command; another is not placed.

using Npgsql;

await using var pool = NpgsqlDataSource.Create(Environment.GetEnvironmentVariable("SHOP_CONNECTION")!);
var shop = new Shop(pool);
var ann = new Context("ann", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

var order = await shop.InTransaction(ann, connection => shop.PlaceOrder(connection, 7, 63.10m));
Console.WriteLine($"placed {order}");

var command = Guid.Parse("0199a3c4-7d11-7abc-8def-000000000042"); // the client's, made before it first asked
for (var time = 1; time <= 2; time++)
{
    var answer = await shop.InTransaction(ann, connection => shop.CancelOrder(connection, command, order, "too late"));
    Console.WriteLine($"cancelled by {answer}");
}

try
{
    await shop.InTransaction<long>(ann, async connection =>
    {
        await shop.PlaceOrder(connection, 8, 12.50m);
        throw new InvalidOperationException("payment was declined");
    });
}
catch (InvalidOperationException e)
{
    Console.WriteLine($"not placed: {e.Message}");
}
