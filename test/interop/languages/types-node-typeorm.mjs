// Which entities and values does TypeORM bring to domev?  Prints a row for each, as the table of the README has it.

import { randomUUID } from 'node:crypto'
import { DataSource, EntitySchema } from 'typeorm'

const entity = (name, schema, tableName) => new EntitySchema({
  name, schema, tableName, synchronize: false,
  columns: { event_id: { type: 'uuid', primary: true }, aggregate_id: { type: 'text' }, payload: { type: 'jsonb' } },
})
const OrderPlaced = entity('OrderPlaced', undefined, 'order_placed_events')
const Dotted = entity('Dotted', 'domev_event', 'order.placed')

const source = await new DataSource({ type: 'postgres', url: process.env.SHOP_URL, entities: [OrderPlaced, Dotted] }).initialize()
const manager = source.manager

// Each with an aggregate of its own, to find what is kept of it.
const emit = (id, type, payload, value) => manager.query(`SELECT domev.emit('order.placed', $1::${type}, ${payload})`, [id, value])
const tried = [
  ["emit, $1::bigint, jsonb_build_object('total', $2::numeric)", "'42', '63.10'",
    () => emit('42', 'bigint', "jsonb_build_object('total', $2::numeric)", '63.10')],
  ['emit, $1::bigint, $2::jsonb', "'43', { total: 63.10 }", () => emit('43', 'bigint', '$2::jsonb', { total: 63.10 })],
  ['entity on "domev_event"."order.placed"', 'insert', () => manager.insert(Dotted, { aggregate_id: '44', payload: {} })],
  ['entity on a view of ours', 'insert, payload: { total: 63.10 }',
    () => manager.insert(OrderPlaced, { aggregate_id: '45', payload: { total: 63.10 } })],
  ['entity on a view of ours', 'insert, with an event_id',
    () => manager.insert(OrderPlaced, { event_id: randomUUID(), aggregate_id: '46', payload: {} })],
]

const kept = async (id) => Object.values((await manager.query(
  'SELECT aggregate_id, payload::text FROM domev_event."order.placed" WHERE aggregate_id = $1', [id]))[0]).join(' ')
for (const [index, [what, value, work]] of tried.entries()) {
  const outcome = await work().then(() => kept(`${42 + index}`), (error) => (error.driverError ?? error).code)
  console.log(`| ${what} | \`${value}\` | ${outcome} |`)
}
await source.destroy()
