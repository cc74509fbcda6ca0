import { register } from 'node:module'

// Node 24 runs TypeScript without help. Node 20 cannot, and Node 22 warns when it does.
if (Number.parseInt(process.versions.node, 10) < 24) register('./strip-types-hook.mjs', import.meta.url)
