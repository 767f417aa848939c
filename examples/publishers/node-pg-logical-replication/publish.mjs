// How does a program with node's pg-logical-replication publish the events of domev?  Sends each event to the broker and acknowledges
// what the broker has.  Any error ends it; whoever runs it starts it again, and it goes on behind the last acknowledged transaction.

import net from 'node:net'
import readline from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { LogicalReplicationService } from 'pg-logical-replication'

const fail = (reason) => {
  console.error(reason)
  process.exit(1)
}

const [host, port] = process.env.DOMEV_BROKER.split(':')
const broker = net.connect(port, host).on('error', fail).on('close', () => fail('the broker is gone'))
const answers = readline.createInterface({ input: broker })[Symbol.asyncIterator]()

let safe = 0n // the broker has all events up to here
let waiting = 0 // events that it does not have yet

const domev = { // what the client calls an AbstractPlugin, which it does not export
  name: 'domev',
  options: {},
  start: (client, slot, position) => client.query(`START_REPLICATION SLOT "${slot}" LOGICAL ${position}`),
  parse(buffer) {
    waiting++ // here and not in the handler: events wait in the service's queue, keepalives do not
    return buffer.toString()
  }
}

const service = new LogicalReplicationService({ connectionString: process.env.DOMEV_CONNECTION }, {
  acknowledge: { auto: false, timeoutSeconds: 0 }, // neither after the handler nor by the clock: both know nothing of the broker
  flowControl: { enabled: true } // one event after the other, each when the handler has ended with the one before
})

service.on('data', async (position, event) => {
  broker.write(event + '\n')
  while ((await answers.next()).value !== 'ok') {
    await sleep(100)
    broker.write(event + '\n')
  }
  waiting--
  advance(position)
})

service.on('heartbeat', (position, time, wantsAnswer) => {
  if (waiting === 0) advance(position)
  if (wantsAnswer) acknowledge()
})

// The events before the last one of a transaction have positions of their own, which may lie behind us.
function advance(position) {
  const [high, low] = position.split('/').map((part) => BigInt('0x' + part))
  const number = (high << 32n) | low
  if (number > safe) safe = number
}

// The service acknowledges one byte more than it is told.  The next commit may begin at that byte, and would be skipped: so, one less.
function acknowledge() {
  if (safe === 0n) return
  const before = safe - 1n
  service.acknowledge((before >> 32n).toString(16) + '/' + (before & 0xffffffffn).toString(16)).catch(fail)
}

setInterval(acknowledge, 1000) // also while the broker takes its time, or the server would take us for dead
service.on('error', fail) // without this the service goes on with the next event
service.subscribe(domev, process.env.DOMEV_SLOT).then(() => fail('the stream has ended'), fail)
