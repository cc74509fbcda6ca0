import { useCallback, useEffect, useRef, useState } from 'preact/hooks'

export interface Answer<Value> {
  readonly value?: Value
  readonly problem?: unknown
  readonly isAsking: boolean
  reload(): void
}

/** The answer to a question that is asked again when its key changes, and by `reload`. An outdated answer is dropped. */
export function useAnswer<Value>(key: string, ask: () => Promise<Value>): Answer<Value> {
  const [state, setState] = useState<{ value?: Value; problem?: unknown; isAsking: boolean }>({ isAsking: true })
  const [turn, setTurn] = useState(0)
  const latest = useRef(ask)
  latest.current = ask
  useEffect(() => {
    let isOver = false
    setState(({ value }) => ({ ...(value !== undefined && { value }), isAsking: true }))
    latest.current().then(
      (value) => isOver || setState({ value, isAsking: false }),
      (problem) => isOver || setState({ problem, isAsking: false })
    )
    return () => {
      isOver = true
    }
  }, [key, turn])
  const reload = useCallback(() => setTurn((number) => number + 1), [])
  return { ...state, reload }
}
