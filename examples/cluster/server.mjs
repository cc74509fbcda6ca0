// Three nodes on this machine, joined by one Redis. A node that ends is replaced; a signal ends all.
import { fork } from 'node:child_process'
import { join } from 'node:path'

const first = Number(process.env.PORT ?? 3000)
const nodes = new Map()
let isStopping = false

for (const index of [0, 1, 2]) start(first === 0 ? 0 : first + index)
for (const signal of ['SIGTERM', 'SIGINT'])
  process.on(signal, () => {
    isStopping = true
    for (const node of nodes.keys()) node.kill('SIGTERM')
  })

function start(port) {
  const node = fork(join(import.meta.dirname, 'node.mjs'), { env: { ...process.env, PORT: String(port) } })
  nodes.set(node, port)
  node.on('exit', (code, signal) => {
    nodes.delete(node)
    if (isStopping) return
    console.error(`the node on port ${port} has ended (${signal ?? code})`)
    // A second later: a node that cannot start must not keep the machine busy.
    setTimeout(() => isStopping || start(port), 1_000)
  })
}
