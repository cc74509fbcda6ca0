/** Rows of one transaction. */
const BATCH = 100
/** One relay works at a time, so that events keep their order. Any number that no other lock of the database has. */
const LOCK = 7_001

/**
 * Publishes the rows of the outbox, and deletes them. Between the two the process may end at any moment: the next relay finds
 * the rows again, and the hub recognises their idempotency keys.
 */
export class Relay {
  #isStopped = false
  #isWoken = false
  #wake = () => {}
  #running

  /** @param interval milliseconds after which the relay looks without being woken, such as after a failure */
  constructor({ pool, hub, log, interval = 2_000 }) {
    Object.assign(this, { pool, hub, log, interval })
  }

  start() {
    this.#running = this.#run()
  }

  /** There may be rows. */
  wake() {
    this.#isWoken = true
    this.#wake()
  }

  async stop() {
    this.#isStopped = true
    this.#wake()
    await this.#running
  }

  async #run() {
    while (!this.#isStopped) {
      this.#isWoken = false
      try {
        while (!this.#isStopped && (await this.#publishBatch()) === BATCH);
      } catch (error) {
        this.log.error(error, 'the outbox was not relayed, and is tried again')
      }
      await this.#rest()
    }
  }

  async #publishBatch() {
    const client = await this.pool.connect()
    try {
      await client.query('BEGIN')
      const { rows: locks } = await client.query('SELECT pg_try_advisory_xact_lock($1) AS taken', [LOCK])
      const { rows } = locks[0].taken
        ? await client.query('SELECT id, target, draft FROM outbox ORDER BY id LIMIT $1', [BATCH])
        : { rows: [] }
      if (rows.length > 0) {
        const events = rows.map(({ id, target, draft }) => ({ to: target, ...draft, idempotencyKey: `outbox/${id}` }))
        // The same name on every node and after every restart, since keys are those of a publisher.
        await this.hub.publishBatch(events, { publisher: 'outbox' })
        await client.query('DELETE FROM outbox WHERE id = ANY($1)', [rows.map(({ id }) => id)])
      }
      await client.query('COMMIT')
      client.release()
      return rows.length
    } catch (error) {
      // A connection in an unknown state is closed, which rolls back.
      client.release(error)
      throw error
    }
  }

  async #rest() {
    if (this.#isWoken || this.#isStopped) return
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, this.interval)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = () => {}
  }
}
