// How does a service with TypeORM place an order with its event?  In one transaction, which is tried again when PostgreSQL says so.

import { DataSource, EntitySchema } from 'typeorm'

const Order = new EntitySchema({
  name: 'Order',
  tableName: 'orders',
  columns: {
    id: { type: 'bigint', primary: true, generated: 'identity', generatedIdentity: 'ALWAYS' },
    customer: { type: 'int' },
    total: { type: 'numeric', precision: 10, scale: 2 }, // a string in JavaScript, whose numbers would lose the last zero
    status: { type: 'text', default: 'placed' },
  },
})

// Runs work(manager) in one transaction; it may run several times.  The context becomes headers of each of its events.
export async function transaction(source, context, work) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await source.transaction(async (manager) => {
        await manager.query("SELECT set_config('domev.context', $1, true)", [context])
        return work(manager)
      })
    } catch (error) {
      if (attempt === 5 || !['40001', '40P01'].includes((error.driverError ?? error).code)) throw error
    }
  }
}

export async function placeOrder(manager, customer, total) {
  const { id } = await manager.save(Order, { customer, total })
  await manager.query(`SELECT domev.emit('order.placed', $1::bigint, jsonb_build_object('customer', $2::int, 'total', $3::numeric),
    aggregate_version => 1)`, [id, customer, total])
  return id
}

// May be asked for again with the same id: the UPDATE changes nothing then, nor does emit.
export async function cancelOrder(manager, command, order, reason) {
  await manager.update(Order, order, { status: 'cancelled' })
  const [{ emit }] = await manager.query("SELECT domev.emit('order.cancelled', $1::bigint, $2::jsonb, event_id => $3)",
    [order, { reason }, command])
  return emit
}

const source = await new DataSource({ type: 'postgres', url: process.env.SHOP_URL, entities: [Order] }).initialize()
const ann = { user: 'ann', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
const order = await transaction(source, ann, (manager) => placeOrder(manager, 7, '63.10'))
console.log('placed', order)

const command = '0199a3c4-7d11-7abc-8def-000000000042' // the client's, made before it first asked
for (let time = 1; time <= 2; time++) {
  console.log('cancelled by', await transaction(source, ann, (manager) => cancelOrder(manager, command, order, 'too late')))
}

await transaction(source, ann, async (manager) => {
  await placeOrder(manager, 8, '12.50')
  throw new Error('payment was declined')
}).catch((error) => console.log('not placed:', error.message))
await source.destroy()
