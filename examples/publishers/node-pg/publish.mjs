// How does a program with node's pg, by hand, publish the events of domev?  Sends each event to the broker and acknowledges what the
// broker has.  Any error ends it; whoever runs it starts it again, and it goes on behind the last acknowledged transaction.

import net from 'node:net'
import readline from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

const fail = (reason) => {
  console.error(reason)
  process.exit(1)
}

const [host, port] = process.env.DOMEV_BROKER.split(':')
const broker = net.connect(port, host).on('error', fail).on('close', () => fail('the broker is gone'))
const answers = readline.createInterface({ input: broker })[Symbol.asyncIterator]()

const client = new pg.Client({ connectionString: process.env.DOMEV_CONNECTION, replication: 'database' })
client.on('error', fail)
await client.connect()
const { connection } = client // not documented, and the way to the messages of a replication stream

let safe = 0n // the broker has all events up to here
let waiting = 0 // events that it does not have yet
let last = Promise.resolve() // ends when it has the last of them

connection.on('copyData', ({ chunk }) => {
  const position = chunk.readBigUInt64BE(1)
  if (chunk[0] === 0x77) { // 'w', an event
    const line = chunk.toString('utf8', 25) + '\n' // now: the buffer is the connection's, and will hold other messages
    if (++waiting === 1000) connection.stream.pause() // no more than the broker can take
    last = last.then(() => publish(line, position)).catch(fail)
  } else if (chunk[0] === 0x6b) { // 'k', a keepalive
    if (waiting === 0 && position > safe) safe = position
    if (chunk[17] === 1) acknowledge()
  }
})
client.query(`START_REPLICATION SLOT "${process.env.DOMEV_SLOT}" LOGICAL 0/0`).then(() => fail('the stream has ended'), fail)
setInterval(acknowledge, 1000) // also while the broker takes its time, or the server would take us for dead

async function publish(line, position) {
  broker.write(line)
  while ((await answers.next()).value !== 'ok') {
    await sleep(100)
    broker.write(line)
  }
  // The events before the last one of a transaction have positions of their own, which may lie behind us.
  if (position > safe) safe = position
  if (--waiting === 0) connection.stream.resume()
}

function acknowledge() {
  const status = Buffer.alloc(34)
  status.write('r')
  for (const offset of [1, 9, 17]) status.writeBigUInt64BE(safe, offset) // written, flushed, applied
  status.writeBigUInt64BE(BigInt(Date.now() - Date.UTC(2000, 0)) * 1000n, 25)
  connection.sendCopyFromChunk(status)
}
