import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'

// Builds the checkout for `npm start`. Where building is impossible, `npm start` uses an earlier build.

const isBuilt = existsSync('dist/server.js')
const obstacle = obstacleToBuilding()

if (obstacle === undefined) {
  const { status } = spawnSync('npm', ['run', '-s', 'build'], { stdio: 'inherit', shell: process.platform === 'win32' })
  process.exitCode = status ?? 1
} else if (isBuilt) {
  process.stderr.write(`fastify-sse-hub: dist is started as it was built, because ${obstacle}\n`)
} else {
  process.stderr.write(
    `fastify-sse-hub: there is no build to start, and ${obstacle}. Run "npm install && npm run build" in a copy that can be ` +
      'written to, or start the installed package with "npx fastify-sse-hub" (SSE_HUB_ERR_NOT_BUILT)\n'
  )
  process.exitCode = 1
}

function obstacleToBuilding() {
  try {
    for (const path of ['.', 'dist']) if (existsSync(path)) accessSync(path, constants.W_OK)
  } catch (error) {
    return `${process.cwd()} cannot be written to (${error.code})`
  }
  return existsSync('node_modules/typescript') ? undefined : 'the development dependencies are not installed'
}
