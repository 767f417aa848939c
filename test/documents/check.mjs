// What do the parsers that people use say of what domev shows?
// check.mjs mermaid FILE             reads a flowchart; prints its nodes and arrows, a line each
// check.mjs asyncapi FILE            reads a document; prints what the official parser objects to, but not advice, and then channels and messages
// check.mjs events FILE EVENTS       is each event, one a line, what its message in the document says?  Prints those that are not.
// The exit status is 1 when something is wrong.
import { readFileSync } from 'node:fs'

const [kind, file, events] = process.argv.slice(2)
const text = readFileSync(file, 'utf8')
const checks = { mermaid: checkMermaid, asyncapi: checkAsyncApi, events: checkEvents }
process.exitCode = (await checks[kind]()) ? 0 : 1

async function checkMermaid() {
  const { JSDOM } = await import('jsdom')
  globalThis.window = new JSDOM('').window // its sanitizer wants one
  globalThis.document = window.document
  const { default: mermaid } = await import('mermaid')
  const decode = (label) => label.replaceAll('ﬂ°°', '&#').replaceAll('¶ß', ';').replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(code))
  try {
    await mermaid.parse(text)
    const { db } = await mermaid.mermaidAPI.getDiagramFromText(text)
    const boxes = db.getSubGraphs()
    const boxOf = (id) => boxes.find((box) => box.nodes.includes(id))?.title
    const nodes = [...db.getVertices().values()]
    const names = new Map(nodes.map((node) => [node.id, JSON.stringify(decode(node.text).split('<br>'))]))
    for (const node of nodes) console.log(['node', boxOf(node.id), names.get(node.id), ...node.classes].join(' '))
    for (const edge of db.getEdges()) console.log('arrow', names.get(edge.start), edge.stroke, JSON.stringify(decode(edge.text)), names.get(edge.end))
    return true
  } catch (error) {
    console.log(String(error.message ?? error))
    return false
  }
}

async function checkAsyncApi() {
  const { Parser } = await import('@asyncapi/parser')
  const { document, diagnostics } = await new Parser().parse(text)
  const problems = diagnostics.filter((one) => one.severity <= 1) // errors and warnings
  for (const one of problems) console.log(['error', 'warning'][one.severity], one.code, one.message, one.path.join('/'))
  for (const channel of document?.channels().all() ?? [])
    console.log('channel', channel.address(), JSON.stringify(channel.messages().all().map((message) => message.name()).sort()))
  for (const operation of document?.operations().all() ?? []) console.log('operation', operation.action(), operation.channels().all().map((channel) => channel.address()).join(' '))
  return document !== undefined && problems.length === 0
}

async function checkEvents() {
  const { default: Ajv } = await import('ajv')
  const { default: addFormats } = await import('ajv-formats')
  const ajv = new Ajv({ strict: false, allErrors: true })
  const document = JSON.parse(text)
  let right = true
  addFormats(ajv)
  ajv.addSchema(document, 'document')
  for (const line of readFileSync(events, 'utf8').split('\n').filter(Boolean)) {
    const event = JSON.parse(line)
    const message = Object.entries(document.channels[event.topic]?.messages ?? {}).find(([name]) => document.components.messages[name].name === event.type)
    const valid = message && ajv.validate({ $ref: `document#/components/messages/${message[0]}/payload` }, event)
    if (!valid) console.log(message ? ajv.errorsText() : 'the document has no such message', line)
    right &&= Boolean(valid)
  }
  return right
}
