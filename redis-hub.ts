export {
  type AddressMap,
  type ClusterSettings,
  LinkError,
  type LuaScript,
  type RedisArgument,
  type RedisLink,
  type RedisLinkOptions,
  type RedisLog,
  type RedisLogOptions,
  RedisReplyError,
  type RedisTemplate,
  type RedisTemplateFactory,
  redisLink,
  redisLog,
  type SentinelSettings
} from './services/event-log/redis.ts'
export { RedisNodes, type RedisNodesOptions } from './services/nodes/redis/redis-nodes.ts'
export { type RedisHubOptions, type RedisHubParts, redisHub } from './services/redis-hub.ts'
