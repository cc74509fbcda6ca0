let turn: Promise<void> | undefined

/**
 * Delays a receipt until the events of this turn of the event loop have been written. The responses of a turn then leave
 * together. A response that leaves alone wakes up its reader, which costs as much as the write itself. Measured over 10,000
 * users with 32 publishers in flight, this makes a publish cheaper by a third. Errors are not delayed.
 */
export async function afterDelivery<Receipt>(receipt: Promise<Receipt>): Promise<Receipt> {
  const value = await receipt
  turn ??= new Promise((resolve) => {
    setImmediate(() => {
      turn = undefined
      resolve()
    })
  })
  await turn
  return value
}
