import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MODULES = ['/usr/lib/nginx/modules/ngx_nchan_module.so', '/usr/lib64/nginx/modules/ngx_nchan_module.so']
const NGINX = ['/usr/sbin/nginx', '/usr/local/sbin/nginx']
const find = (paths) => paths.find((path) => existsSync(path))

export const hasNchan = find(MODULES) !== undefined && find(NGINX) !== undefined

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}

/** nginx with its nchan module: one worker, history of as many events as the hub keeps. */
export async function startNchan(core) {
  const folder = mkdtempSync(join(tmpdir(), 'bench-nchan-'))
  const port = await freePort()
  writeFileSync(
    join(folder, 'nginx.conf'),
    `load_module ${find(MODULES)};
daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 20000;
pid ${folder}/pid; error_log ${folder}/error.log crit;
events { worker_connections 19000; }
http {
  access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000; client_max_body_size 2m; client_body_buffer_size 128k;
  nchan_shared_memory_size 256M;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /broadcast { nchan_publisher; nchan_channel_id everyone; nchan_message_buffer_length 1000; }
    location = /events { nchan_subscriber eventsource; nchan_channel_id everyone; nchan_eventsource_ping_interval 15;
      nchan_subscriber_first_message newest; }
  }
}
`
  )
  const command = [find(NGINX), '-p', folder, '-c', join(folder, 'nginx.conf')]
  if (core !== undefined) command.unshift('taskset', '-c', String(core))
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] })
  await new Promise((resolve) => setTimeout(resolve, 500))
  const usage = async () => {
    const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ')
    const [user, system] = [Number(fields[11]) * 1e4, Number(fields[12]) * 1e4]
    const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) * 1024
    return { cpu: user + system, user, system, rss, heap: 0, external: 0, stall: Number.NaN }
  }
  const stop = async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
    rmSync(folder, { recursive: true, force: true })
  }
  return { name: 'nchan (nginx, C)', port, pid: child.pid, usage, reset: usage, ask: usage, stop }
}
