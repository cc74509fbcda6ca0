// A worker that opens streams of one user with the maximum history, reads a little, and disconnects. It posts the
// number of opened streams. It runs in a thread of its own, so that its work does not delay the hub that it attacks.
import { get } from 'node:http'
import { parentPort, workerData } from 'node:worker_threads'

const { url, connections, milliseconds } = workerData
const until = performance.now() + milliseconds
let opened = 0

function open() {
  return new Promise((resolve) => {
    const request = get(url, (response) => {
      opened++
      response.once('data', () => setTimeout(() => request.destroy(), 5))
    })
    request.on('error', () => {})
    request.on('close', resolve)
  })
}

async function loop() {
  while (performance.now() < until) await open()
}

await Promise.all(Array.from({ length: connections }, loop))
parentPort.postMessage(opened)
