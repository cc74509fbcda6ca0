import t from 'tap'
import { type NetworkNodes, NodeNetwork } from '../support/node-network.ts'
import { clusterContract } from './cluster-contract.ts'

clusterContract(t, async () => {
  const network = new NodeNetwork()
  return { nodes: () => network.nodes(), kill: (nodes) => network.kill(nodes as NetworkNodes) }
})
