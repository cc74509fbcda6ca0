import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitepress'

const CONTENT = join(import.meta.dirname, '..', '.content')

/** The exports of the package, each with its page of the reference. */
function reference() {
  const folder = join(CONTENT, 'api')
  if (!existsSync(folder)) return []
  const index = readFileSync(join(folder, 'index.md'), 'utf8')
  const entries = [...index.matchAll(/\[(fastify-sse-hub[^\]]*)\]\(([^)]+)\.md\)/g)]
  return entries.map(([, text, path]) => ({ text, link: `/api/${path.replace(/index$/, '')}` }))
}

const page = (text, name) => ({ text, link: `/${name}` })

export default defineConfig({
  title: 'fastify-sse-hub',
  description:
    'A Fastify 5 plugin and notification hub over Server-Sent Events: users with many tabs, topics, replay, an inbox, a console.',
  srcDir: '.content',
  // A page under a host's folder works as well: VITE_BASE=/fastify-sse-hub/
  base: process.env.VITE_BASE ?? '/',
  head: [['link', { rel: 'icon', href: `${process.env.VITE_BASE ?? '/'}logo.svg` }]],
  markdown: { languageAlias: { caddyfile: 'nginx', haproxy: 'nginx', mjs: 'javascript' } },
  vite: { build: { chunkSizeWarningLimit: 2_000 }, publicDir: join(CONTENT, 'public') },
  themeConfig: {
    logo: '/logo.svg',
    search: { provider: 'local' },
    outline: { level: [2, 3] },
    socialLinks: [{ icon: 'github', link: 'https://github.com/fastify-sse-hub/fastify-sse-hub' }],
    nav: [
      page('Start', 'start'),
      page('Guides', 'hub'),
      page('Compared', 'comparison'),
      page('API', 'api/'),
      page('Changes', 'changelog')
    ],
    sidebar: {
      '/api/': [{ text: 'API reference', link: '/api/', items: reference() }],
      '/': [
        {
          text: 'Begin',
          items: [page('Start', 'start'), page('Concepts', 'concepts'), page('Compared with others', 'comparison')]
        },
        {
          text: 'In your app',
          items: [
            page('The hub: app.sse', 'hub'),
            page('Options', 'options'),
            page('Inbox', 'inbox'),
            page('Presence', 'presence'),
            page('Webhooks', 'webhooks'),
            page('Test kit', 'test-kit')
          ]
        },
        {
          text: 'Clients',
          items: [
            page('Browser client', 'client'),
            page('Any language', 'http'),
            page('Other clients', 'other-clients'),
            page('HTTP API', 'http-api')
          ]
        },
        {
          text: 'Run it',
          items: [
            page('Settings', 'settings'),
            page('Console', 'console'),
            page('Operations', 'operations'),
            page('Tracing', 'tracing'),
            page('Behind a proxy', 'proxies'),
            page('Security', 'security'),
            page('Limits', 'limits'),
            page('Systems', 'systems')
          ]
        },
        {
          text: 'Keep and scale',
          items: [
            page('History in a folder', 'embedded'),
            page('Redis', 'redis'),
            page('Scaling', 'scaling'),
            page('Performance', 'performance')
          ]
        },
        {
          text: 'Moving over',
          link: '/migration/',
          collapsed: true,
          items: [
            page('Spring SseEmitter', 'migration/spring'),
            page('better-sse', 'migration/better-sse'),
            page('@fastify/sse', 'migration/fastify-sse'),
            page('fastify-sse-v2', 'migration/fastify-sse-v2'),
            page('Mercure', 'migration/mercure'),
            page('Socket.IO rooms', 'migration/socket-io'),
            page('Pusher', 'migration/pusher')
          ]
        },
        {
          text: 'When something fails',
          items: [page('Troubleshooting', 'troubleshooting'), page('Error codes', 'errors')]
        },
        { text: 'Project', items: [page('Tests', 'testing'), page('Changes', 'changelog')] }
      ]
    },
    footer: { message: 'MIT', copyright: 'Every command and example of these pages is run by a test.' }
  }
})
