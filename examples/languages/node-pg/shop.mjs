// How does a service with node's pg place an order with its event?  In one transaction, which is tried again when PostgreSQL says so.

import pg from 'pg'

// Runs work(client) in one transaction; it may run several times.  The context becomes headers of each of its events.
export async function transaction(pool, context, work) {
  for (let attempt = 1; ; attempt++) {
    const client = await pool.connect()
    let broken
    try {
      await client.query('BEGIN')
      // true: SET LOCAL, gone at the end of the transaction, whoever is given the connection then
      await client.query("SELECT set_config('domev.context', $1, true)", [context])
      const result = await work(client)
      await client.query('COMMIT')
      return result
    } catch (error) {
      await client.query('ROLLBACK').catch((reason) => { broken = reason })
      if (attempt === 5 || !['40001', '40P01'].includes(error.code)) throw error
    } finally {
      client.release(broken)
    }
  }
}

// The total is a string: a number of JavaScript would lose its last zero, and more when it is large.
export async function placeOrder(client, customer, total) {
  const { rows } = await client.query('INSERT INTO orders (customer, total) VALUES ($1, $2) RETURNING id', [customer, total])
  await client.query(`SELECT domev.emit('order.placed', $1::bigint, jsonb_build_object('customer', $2::int, 'total', $3::numeric),
    aggregate_version => 1)`, [rows[0].id, customer, total])
  return rows[0].id
}

// May be asked for again with the same id: the UPDATE changes nothing then, nor does emit.
export async function cancelOrder(client, command, order, reason) {
  await client.query("UPDATE orders SET status = 'cancelled' WHERE id = $1", [order])
  const { rows } = await client.query("SELECT domev.emit('order.cancelled', $1::bigint, $2::jsonb, event_id => $3)",
    [order, { reason }, command])
  return rows[0].emit
}

const pool = new pg.Pool({ connectionString: process.env.SHOP_URL })
const ann = { user: 'ann', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
const order = await transaction(pool, ann, (client) => placeOrder(client, 7, '63.10'))
console.log('placed', order)

const command = '0199a3c4-7d11-7abc-8def-000000000042' // the client's, made before it first asked
for (let time = 1; time <= 2; time++) {
  console.log('cancelled by', await transaction(pool, ann, (client) => cancelOrder(client, command, order, 'too late')))
}

await transaction(pool, ann, async (client) => {
  await placeOrder(client, 8, '12.50')
  throw new Error('payment was declined')
}).catch((error) => console.log('not placed:', error.message))
await pool.end()
