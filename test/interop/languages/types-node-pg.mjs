// Which values of JavaScript does domev.emit take from pg?  Prints a row for each, as the table of the README has it.

import pg from 'pg'

const VIEW = 'domev_event."order.placed"'
const uuid = '0199a3c4-7d11-7abc-8def-0000000000aa'
// What the value is given as: the column in which it is kept, the statement that takes it, and values as JavaScript has them.
const tried = {
  'id, $1': ['aggregate_id', "SELECT domev.emit('order.placed', $1)", ['42', "'42'", '42n', 'uuid']],
  'id, $1::bigint': ['aggregate_id', "SELECT domev.emit('order.placed', $1::bigint)",
    ['42', "'42'", '2n ** 60n', '2 ** 53 + 1', '1e21']],
  'id, $1::uuid': ['aggregate_id', "SELECT domev.emit('order.placed', $1::uuid)", ['uuid']],
  'payload, $2::jsonb': ['payload', "SELECT domev.emit('order.placed', 42, $1::jsonb)",
    ['{ total: 63.10 }', "{ total: '63.10' }", "'{\"total\": 63.10}'", '[63.10]', 'JSON.stringify([63.10])', "Buffer.from('{}')", 'null', "'null'",
      'undefined', 'new Date(0)']],
  'payload, $2': ['payload', "SELECT domev.emit('order.placed', 42, $1)", ['{ total: 63.10 }']],
  '$1::numeric in jsonb_build_object': ['payload->\'it\'', "SELECT domev.emit('order.placed', 42, jsonb_build_object('it', $1::numeric))",
    ["'63.10'", '63.10', '0.1 + 0.2']],
  '$1::text in jsonb_build_object': ['payload->\'it\'', "SELECT domev.emit('order.placed', 42, jsonb_build_object('it', $1::text))", ["'web'"]],
  '$1 in jsonb_build_object': ['payload->\'it\'', "SELECT domev.emit('order.placed', 42, jsonb_build_object('it', $1))", ["'web'"]],
  headers: ['headers', "SELECT domev.emit('order.placed', 42, '{}', headers => $1)", ["{ channel: 'web' }", 'null']],
  event_id: ['event_id', "SELECT domev.emit('order.placed', 42, event_id => $1)", ['uuid']],
  occurred_at: ["to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')", "SELECT domev.emit('order.placed', 42, occurred_at => $1)",
    ['new Date(Date.UTC(2026, 10, 26, 12))', 'null']],
}

const client = new pg.Client({ connectionString: process.env.SHOP_URL })
await client.connect()

// What is kept of the event, or the error.
async function outcome(column, statement, value) {
  try {
    const { rows: [{ emit }] } = await client.query(statement, [value])
    const { rows: [{ kept }] } = await client.query(`SELECT coalesce((${column})::text, 'NULL') AS kept FROM ${VIEW} WHERE event_id = $1`, [emit])
    return kept
  } catch (error) {
    return error.code ?? error.constructor.name
  }
}

async function events(work) {
  const count = async () => Number((await client.query(`SELECT count(*) FROM ${VIEW}`)).rows[0].count)
  const before = await count()
  await work()
  return await count() - before
}

for (const [what, [column, statement, values]] of Object.entries(tried)) {
  for (const value of values) console.log(`| ${what} | \`${value}\` | ${await outcome(column, statement, eval(`(${value})`))} |`)
}
const named = (order) => client.query({ name: 'emit', text: "SELECT domev.emit('order.placed', $1::bigint, $2::jsonb)", values: [order, {}] })
const orders = Array.from({ length: 100 }, (_, order) => order)
console.log(`| many | 100 × a named statement | ${await events(async () => { for (const order of orders) await named(order) })} events |`)
const { rows: [read] } = await client.query("SELECT 42::bigint AS id, 63.10 AS total, '{\"total\": 63.10}'::jsonb AS payload")
console.log(`| read back | bigint, numeric, jsonb | ${JSON.stringify(read)} |`)
await client.end()
