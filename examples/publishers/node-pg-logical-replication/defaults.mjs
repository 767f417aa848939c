// What does pg-logical-replication lose as it comes?  publish.mjs without its settings: an event is acknowledged when the handler has
// been called, not when it has ended.  A counter-example: test/clients wants to see it lose events.

import net from 'node:net'
import readline from 'node:readline'
import { LogicalReplicationService } from 'pg-logical-replication'

const [host, port] = process.env.DOMEV_BROKER.split(':')
const broker = net.connect(port, host).on('close', () => process.exit(1))
const answers = readline.createInterface({ input: broker })[Symbol.asyncIterator]()

const domev = {
  name: 'domev',
  options: {},
  start: (client, slot, position) => client.query(`START_REPLICATION SLOT "${slot}" LOGICAL ${position}`),
  parse: (buffer) => buffer.toString()
}

const service = new LogicalReplicationService({ connectionString: process.env.DOMEV_CONNECTION })
service.on('data', async (position, event) => {
  do broker.write(event + '\n')
  while ((await answers.next()).value !== 'ok')
})
service.on('error', () => process.exit(1))
service.subscribe(domev, process.env.DOMEV_SLOT).then(() => process.exit(1))
