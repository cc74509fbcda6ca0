export { RedisCluster, type RedisClusterOptions } from './services/cluster/redis/redis-cluster.ts'
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
} from './services/event-log/redis/open-redis-log.ts'
export { type RedisHubOptions, type RedisHubParts, redisHub } from './services/hub/redis-hub-parts.ts'
