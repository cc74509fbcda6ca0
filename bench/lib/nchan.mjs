import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.mjs'
import { startCommand } from './programs.mjs'

const find = (...paths) => paths.find((path) => existsSync(path))
const MODULE = find('/usr/lib/nginx/modules/ngx_nchan_module.so', '/usr/lib64/nginx/modules/ngx_nchan_module.so')
const NGINX = find('/usr/sbin/nginx', '/usr/local/sbin/nginx')

export const hasNchan = MODULE !== undefined && NGINX !== undefined

/** The version of nginx; nchan does not report its own. */
export function nginxVersion() {
  const [, version] = /nginx\/(\S+)/.exec(execFileSync('sh', ['-c', `${NGINX} -v 2>&1`], { encoding: 'utf8' })) ?? []
  return version
}

/** nginx with its nchan module: one worker, and a history of far more events than are pending in the storm. */
export async function startNchan(onCore, env = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'bench-nchan-'))
  const port = await freePort()
  const config = join(folder, 'nginx.conf')
  writeFileSync(config, configOf({ folder, port, ping: Math.round(Number(env.BENCH_HEARTBEAT ?? 15_000) / 1_000) }))
  const stop = () => rmSync(folder, { recursive: true, force: true })
  return startCommand(onCore([NGINX, '-p', folder, '-c', config]), port, {}, stop)
}

const configOf = ({ folder, port, ping }) => `load_module ${MODULE};
daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 20000;
pid ${folder}/pid; error_log ${folder}/error.log crit;
events { worker_connections 19000; }
http {
  access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000; client_max_body_size 2m; client_body_buffer_size 128k;
  nchan_shared_memory_size 512M;
  map $arg_only $channel { default everyone; live live; user u/$arg_user; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /broadcast { nchan_publisher; nchan_channel_id everyone; nchan_message_buffer_length 1000; }
    location = /topics/live/events { nchan_publisher; nchan_channel_id live; }
    location ~ ^/users/(\\w+)/events$ { nchan_publisher; nchan_channel_id u/$1; }
    location = /events {
      nchan_subscriber eventsource; nchan_channel_id $channel; nchan_subscriber_first_message newest;
      nchan_eventsource_ping_interval ${ping};
    }
  }
}
`
