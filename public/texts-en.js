/** The English texts of the code; those of index.html are in it. */

const many = (n, one, more = `${one}s`) => `${n} ${n === 1 ? one : more}`
const what = (code, message) => [code, message].filter(Boolean).join(': ')

const GAPS = {
  evicted: 'it was older than what the hub keeps',
  reset: 'the hub began a new history',
  unknown: 'the hub does not know the position that this stream came with',
  diverged: 'the hub lost its newest history and went on without it'
}

const CLOSED = {
  client: 'by the client',
  slow: 'too slow',
  replaced: 'replaced by a newer stream',
  limit: 'over a limit',
  expired: 'expired',
  kicked: 'kicked',
  finished: 'finished',
  failed: 'failed',
  shutdown: 'the hub shuts down',
  error: 'an error in the hub'
}

export const en = {
  'hub.users': ({ n }) => (n === 1 ? 'user online' : 'users online'),
  'hub.streams': ({ n }) => (n === 1 ? 'stream open' : 'streams open'),
  'hub.up': 'Hub is up',
  'hub.down': 'Hub unreachable',
  'hub.refuses': 'Hub refuses',

  'state.connecting': 'Connecting',
  'state.open': 'Open',
  'state.stale': 'Stale',
  'state.reconnecting': 'Reconnecting',
  'state.stopped': 'Stopped',
  'state.ended': 'Ended',
  'state.gone': 'Closed for good',
  'state.refused': 'Refused',
  'state.done': 'Done',
  'state.closed': ({ reason }) => `Closed for good: ${CLOSED[reason] ?? reason}`,

  'panel.stream': 'stream',
  'panel.topics': 'topics',
  'panel.asking': 'waiting for the welcome',
  'panel.online': ({ users, streams }) => `online at welcome: ${many(users, 'user')}, ${many(streams, 'stream')}`,
  'panel.nobeat': 'no heartbeat yet',
  'panel.beat': ({ seconds }) => `${seconds} s ago`,
  'panel.over': 'ended',
  'panel.cut': 'Cut the connection',
  'panel.stop': 'Stop',
  'panel.again': 'Start again',
  'panel.remove': 'Remove this panel',
  'count.received': 'received',
  'count.replayed': 'replayed',
  'count.gaps': 'gaps',

  'list.quiet': 'Nothing yet. Send something.',
  'list.newest': 'Newest ↓',
  'list.replayed': 'replayed',
  'list.gap': 'Gap.',
  'list.gap.what': ({ from, oldest, reason }) =>
    `Part of the history after ${from ?? 'the beginning'} is gone (${reason}): ${GAPS[reason] ?? ''}. ` +
    (oldest ? `The oldest still held is ${oldest}.` : 'Nothing older is held.'),

  'note.opened': ({ replayed }) => (replayed ? `Open. ${many(replayed, 'past event')} to come.` : 'Open.'),
  'note.again': ({ replayed }) => `Back again. ${replayed ? many(replayed, 'missed event') : 'Nothing to replay'}.`,
  'note.lost': 'Connection lost. The browser reconnects by itself.',
  'note.cut': ({ reason }) => `The hub cut the stream (${CLOSED[reason] ?? reason}). The browser reconnects by itself.`,
  'note.closed': ({ reason }) => `The hub closed the stream for good (${CLOSED[reason] ?? reason}).`,
  'note.finished': 'The stream came to its end.',
  'note.gone': 'The hub asked this stream not to come back.',
  'note.stopped': 'You stopped the stream.',
  'note.refused': ({ code, message }) => `The hub did not let the stream in. ${what(code, message)}`,
  'note.unheard': ({ n }) => `${many(n, 'replayed event')} had a name that this page does not listen for.`,

  'story.cutting': 'Cutting…',
  'story.cut': 'Connection cut',
  'story.published': ({ n, of }) => `${n} of ${of} events published meanwhile`,
  'story.back.todo': 'Back',
  'story.back.waiting': 'Away; waiting to reconnect',
  'story.back.now': ({ seconds, n, of }) => `Back after ${seconds} s: ${n} of ${of} here`,
  'story.exact': ({ n, live }) =>
    live ? `${n} replayed, ${live} live: no hole, no duplicate.` : `${n} replayed: no hole, no duplicate.`,
  'story.gapped': ({ n, live, of }) => `${n + live} of ${of} came back; the hub told of the gap.`,
  'story.wrong': ({ n, live, of }) => `Only ${n + live} of ${of} came back as they should.`,
  'story.failed': ({ code, message }) => `Failed. ${what(code, message)}`,

  'send.kind.json': 'JSON',
  'send.kind.text': 'text',
  'send.kind.broken': 'not valid JSON: goes as text',
  'send.sent': ({ n }) => `Accepted for ${many(n, 'open stream')}.`,
  'send.sent.transient': ({ n }) => `Accepted for ${many(n, 'open stream')}; not kept.`,
  'send.kept.user': 'Not online now. It is kept, and replayed when the user comes.',
  'send.kept': 'Nobody listens now. It is kept in the history.',
  'send.lost': 'Nobody listens now, and a transient event is not kept.',

  'people.streams': ({ n }) => many(n, 'stream'),
  'people.close': ({ user }) => `Close the streams of ${user} for good`,
  'people.more': ({ n, next }) => (n > 0 ? `and ${n}${next ? ' or more' : ''} others` : 'and others'),
  'close.closed': ({ n, user }) => `${many(n, 'stream')} of ${user} closed for good.`,

  'task.panel': ({ steps }) => `Task of ${many(steps, 'step')}`,
  'task.progress': 'Progress of the task',
  'task.step': ({ step, steps }) => `Step ${step} of ${steps}`,
  'task.done': ({ steps }) => `Done: ${many(steps, 'step')}`,

  'connections.used': ({ n, most }) => `${n} of ${most} connections`,
  'connections.toomany':
    'Over HTTP/1.1 a browser allows six connections to one host, over all tabs. Your open streams use them up: a further stream, and everything that you send, waits until one is stopped. Over HTTPS with HTTP/2 there is no such limit.',
  'connections.stop': 'Stop the newest stream',

  'error.timeout': 'The hub did not answer within ten seconds. Are too many streams open in this browser?',
  'error.unreachable': 'The hub cannot be reached.'
}
