import t from 'tap'
import { type NetworkNodes, NodeNetwork } from '../support/node-network.ts'
import { nodesContract } from './cluster-contract.ts'

nodesContract(t, async () => {
  const network = new NodeNetwork()
  return { nodes: () => network.nodes(), kill: (nodes) => network.kill(nodes as NetworkNodes) }
})
