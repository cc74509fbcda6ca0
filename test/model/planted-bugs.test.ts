import t from 'tap'
import type { ReadQuery, ReadResult } from '../../services/event-log/event-log.ts'
import { type Cursor, parseCursor } from '../../services/events/cursor.ts'
import type { LogEvent } from '../../services/events/log-event.ts'
import { WireBytes } from '../../services/events/wire-bytes.ts'
import type { Hub } from '../../services/hub/hub.ts'
import { runSequence, stepsOf } from '../support/model-run.ts'
import type { Plant } from '../support/model-world.ts'
import type { SlowLog } from '../support/slow-log.ts'

const WELCOME_ID = /(event: hub\.welcome\ndata: .*\nretry: .*\nid: )\S+/

/**
 * A model that finds nothing proves nothing. Each test plants a bug, most of them real ones of other hubs. The model
 * must find each within so many sequences, by a rule that concerns it.
 */
const SEQUENCES = 600
const SEED = Number(process.env.MODEL_SEED ?? 1)

t.setTimeout(120_000)

/** Changes the pages that the log returns. */
function changePages(change: (page: ReadResult, query: ReadQuery, log: SlowLog) => ReadResult): (log: SlowLog) => void {
  return (log) => {
    const read = log.read.bind(log)
    log.read = (query) => {
      const page = read(query)
      return page instanceof Promise ? page.then((late) => change(late, query, log)) : change(page, query, log)
    }
  }
}

function isCursor(from: ReadQuery['from']): from is Cursor {
  return typeof from === 'object' && 'seq' in from
}

/** Changes the events that the tail dispatches. */
function changeDispatched(change: (events: readonly LogEvent[]) => readonly LogEvent[]): (hub: Hub) => void {
  return ({ manager }) => {
    const onEvents = manager.onEvents.bind(manager)
    manager.onEvents = (events) => onEvents(change(events))
  }
}

const PLANTS: Record<string, { readonly found: RegExp; readonly plant: Plant }> = {
  'events that came while the log was read count as read': {
    found: /V4|V6/,
    plant: {
      log: changePages((page, _query, log) => (page.remaining > 0 ? page : { ...page, next: log.head }))
    }
  },
  'a stream is resumed one event too late': {
    found: /V4|V6/,
    plant: { log: changePages((page, { from }) => (isCursor(from) ? { ...page, events: page.events.slice(1) } : page)) }
  },
  'a stream begins at the head of its first read, not at the head of its opening': {
    found: /V4|V6/,
    plant: (() => {
      let isFirst = false
      return {
        stream: (stream) => {
          const catchUp = stream.catchUp.bind(stream)
          let reads = 0
          stream.catchUp = () => {
            isFirst = reads++ === 0
            catchUp()
            isFirst = false
          }
        },
        log: (log) => {
          const read = log.read.bind(log)
          log.read = (query) => read(isFirst && isCursor(query.from) ? { ...query, from: 'head' } : query)
        }
      } satisfies Plant
    })()
  },
  'no gap is reported': {
    found: /V4|V6/,
    plant: { log: changePages(({ gap: _, ...page }) => ({ ...page, evicted: 0 })) }
  },
  'a gap is reported to every stream whose history has one, before or after its position': {
    found: /V5/,
    plant: {
      log: changePages((page, { from }) =>
        isCursor(from) && page.evicted > 0 && page.gap === undefined
          ? { ...page, evicted: page.next.seq + 1, gap: 'evicted' }
          : page
      )
    }
  },
  'a gap is reported after the events that follow it': {
    // A late gap also stands where nothing is missing.
    found: /V4|V5/,
    plant: {
      stream: (_stream, sink) => {
        const write = sink.write.bind(sink)
        let retained = ''
        sink.write = (bytes) => {
          const [gap = ''] = /event: hub\.gap\ndata: \{"from".*\n\n/.exec(String(bytes.plain)) ?? []
          const isTaken = write(
            new WireBytes(`${String(bytes.plain).replace(gap, '') + (gap === '' ? retained : '')}:\n`)
          )
          retained = gap
          return isTaken
        }
      }
    }
  },
  'cursors of another epoch of the log are accepted': {
    found: /V4|V2/,
    plant: {
      log: changePages((page, { from }) => {
        if (page.gap !== 'reset' || !isCursor(from)) return page
        const { gap: _, ...rest } = page
        return { ...rest, events: page.events.filter(({ cursor }) => (cursor?.seq ?? 0) > from.seq) }
      })
    }
  },
  'a heartbeat moves a stream past events that it has not received': {
    found: /V4/,
    plant: {
      stream: (stream, sink) => {
        stream.heartbeat = (_head, bytes) => {
          if (!stream.isClosed && !stream.isBackpressured) sink.write(bytes)
        }
      }
    }
  },
  'the welcome moves a stream past events that it has not received': {
    found: /V4|V1/,
    plant: {
      stream: (_stream, sink, hub) => {
        const write = sink.write.bind(sink)
        sink.write = (bytes) => {
          const text = String(bytes.plain)
          if (!WELCOME_ID.test(text)) return write(bytes)
          return write(new WireBytes(text.replace(WELCOME_ID, `$1${hub.cursor()}`)))
        }
      }
    }
  },
  'events during backpressure are dropped': {
    found: /V4|V6/,
    plant: {
      stream: (stream) => {
        const offer = stream.offer.bind(stream)
        stream.offer = (event, alone) => {
          if (!stream.isBackpressured) offer(event, alone)
        }
      }
    }
  },
  'a backpressured socket is written to': {
    found: /V9/,
    plant: {
      stream: (_stream, sink) => {
        const write = sink.write.bind(sink)
        sink.write = (bytes) => {
          write(bytes)
          return true
        }
      }
    }
  },
  'a client that reads nothing is never closed': {
    found: /V9/,
    plant: { hub: (hub) => Object.assign(hub.options, { stallTimeout: 0 }) }
  },
  'the tail dispatches everything twice': {
    found: /V1/,
    plant: { hub: changeDispatched((events) => [...events, ...events]) }
  },
  'the tail skips an event now and then': {
    found: /V4|V6/,
    plant: { hub: changeDispatched((events) => events.filter(({ cursor }) => (cursor?.seq ?? 1) % 7 !== 0)) }
  },
  'the tail dispatches in the wrong order': {
    found: /V1|V4/,
    plant: { hub: changeDispatched((events) => [...events].reverse()) }
  },
  'a discontinuity of the tail is ignored': {
    found: /V4|V6/,
    plant: {
      hub: ({ manager }) => {
        manager.onDiscontinuity = (position) => {
          manager.head = position
        }
      }
    }
  },
  'a page of history is in the wrong order': {
    found: /V1|V4/,
    plant: { log: changePages((page) => ({ ...page, events: [...page.events].reverse() })) }
  },
  'everyone gets the events of one user': {
    found: /V3/,
    plant: {
      hub: ({ manager }) => {
        manager.registry.listeners = () => manager.registry.all()
      }
    }
  },
  'history is not filtered by its reader': {
    found: /V3/,
    plant: {
      log: (log) => {
        const read = log.read.bind(log)
        log.read = (query) =>
          read({ ...query, channels: [...new Set([...query.channels, 'u:alice', 'u:bob'] as const)] })
      }
    }
  },
  'an event is changed on its way': {
    found: /V2/,
    plant: {
      log: changePages((page) => ({
        ...page,
        events: page.events.map((event) => ({
          ...event,
          data: event.data.trimEnd().replace(/1$/, ''),
          frame: undefined
        }))
      }))
    }
  },
  'the end of a large event is lost': {
    found: /W|V2|V4|V6/,
    plant: {
      stream: (_stream, sink) => {
        const write = sink.write.bind(sink)
        sink.write = (bytes) =>
          write(bytes.plain.length > 20_000 ? new WireBytes(String(bytes.plain.subarray(0, 20_000))) : bytes)
      }
    }
  },
  'an expired or collapsed event is replayed': {
    found: /V2/,
    plant: {
      log: (log) => {
        const append = log.append.bind(log)
        log.append = (events) => append(events.map(({ ttl: _, collapseKey: __, ...event }) => event))
      }
    }
  },
  'an idempotency key is ignored': {
    found: /V7/,
    plant: {
      log: (log) => {
        const append = log.append.bind(log)
        log.append = (events) => append(events.map(({ idempotency: _, ...event }) => event))
      }
    }
  },
  'an event is accepted and not stored': {
    found: /V7/,
    plant: {
      log: (log) => {
        const append = log.append.bind(log)
        let calls = 0
        log.append = async (events) => {
          if (++calls % 10 > 0) return append(events)
          const { seq, witness } = parseCursor('zz.00000000000000') as Cursor
          return events.map(({ streams }) => ({ id: `${seq.toString(36)}.${witness}`, streams, isRepeat: false }))
        }
      }
    }
  },
  'an identity that expires ends nothing': {
    found: /V12/,
    plant: { opening: ({ expiresAt: _, ...opening }) => opening }
  },
  'a stream is written to after it was closed': {
    found: /V11|V12/,
    plant: {
      stream: (stream, sink) => {
        const close = stream.close.bind(stream)
        stream.close = (reason, reconnect) => {
          const isClosed = close(reason, reconnect)
          if (reason === 'kicked') sink.write(new WireBytes('data: one more\n\n'))
          return isClosed
        }
      }
    }
  },
  'a closed stream is still referenced': {
    found: /V10/,
    plant: {
      hub: ({ manager }) => {
        manager.registry.delete = () => {}
      }
    }
  },
  'a failed read is never retried': {
    found: /V4|V6/,
    plant: {
      hub: ({ manager }) => {
        manager.onReadError = () => {}
      }
    }
  }
}

for (const [bug, { found, plant }] of Object.entries(PLANTS)) {
  t.test(`the model finds that ${bug}`, async (t) => {
    for (let seed = SEED; seed < SEED + SEQUENCES; seed++) {
      const { failure } = await runSequence(seed, stepsOf(seed, 50), plant)
      if (failure === undefined) continue
      t.match(failure.rule, found, failure.message.slice(0, 200))
      t.comment(`found by ${failure.rule} in sequence ${seed - SEED + 1} (MODEL_SEED=${SEED})`)
      return
    }
    t.fail(`not found in ${SEQUENCES} sequences (MODEL_SEED=${SEED})`)
  })
}
