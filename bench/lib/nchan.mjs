import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.mjs'
import { sleep } from './time.mjs'

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
  const [file, ...args] = onCore([NGINX, '-p', folder, '-c', config])
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const stop = async () => {
    if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit')
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await listening(port)
  } catch (error) {
    await stop()
    throw error
  }
  // nginx has no process channel, so every command returns its usage.
  return { port, pid: child.pid, ask: async () => usageOf(child.pid), stop }
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

async function listening(port) {
  for (let attempt = 0; attempt < 100; attempt++) {
    const socket = connect({ port, host: '127.0.0.1' })
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false
    )
    socket.destroy()
    if (isOpen) return
    await sleep(50)
  }
  throw new Error('nginx did not start')
}

/** CPU in microseconds, of clock ticks of 10 ms; memory in bytes. */
function usageOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024
  return { cpu: (Number(fields[11]) + Number(fields[12])) * 10_000, rss }
}
