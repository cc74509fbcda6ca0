import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

/** Rows above and below the visible ones that are drawn as well. */
const OVERSCAN = 8

/**
 * A list of which only the visible rows are in the document; all rows have one height. At its start (newest first) or its end
 * (oldest first) it follows new rows; elsewhere the rows that are read stay where they are.
 */
export function VirtualList(props: {
  count: number
  /** Rows that were removed at the front of the order of arrival, since the list exists. */
  dropped: number
  rowHeight: number
  isNewestFirst: boolean
  label: string
  active: number | undefined
  idOf: (index: number) => string
  onMove: (index: number) => void
  onOpen: (index: number) => void
  row: (index: number) => ComponentChildren
}) {
  const { count, dropped, rowHeight, isNewestFirst, label, active, idOf, onMove, onOpen, row } = props
  const scroller = useRef<HTMLDivElement>(null)
  const [height, setHeight] = useState(600)
  const [top, setTop] = useState(0)
  const before = useRef({ count, dropped, isNewestFirst, isAtEnd: true })

  useEffect(() => {
    const element = scroller.current as HTMLDivElement
    const observer = new ResizeObserver(() => setHeight(element.clientHeight))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  // Before the frame is painted, so that rows do not jump.
  useLayoutEffect(() => {
    const element = scroller.current as HTMLDivElement
    const { current: last } = before
    const added = count - last.count + (dropped - last.dropped)
    if (last.isNewestFirst !== isNewestFirst) element.scrollTop = isNewestFirst ? 0 : element.scrollHeight
    else if (isNewestFirst && element.scrollTop > 0) element.scrollTop += added * rowHeight
    else if (!isNewestFirst && last.isAtEnd) element.scrollTop = element.scrollHeight
    else if (!isNewestFirst) element.scrollTop -= (dropped - last.dropped) * rowHeight
    before.current = { ...last, count, dropped, isNewestFirst }
    setTop(element.scrollTop)
  }, [count, dropped, isNewestFirst, rowHeight])

  const first = Math.max(0, Math.floor(top / rowHeight) - OVERSCAN)
  const end = Math.min(count, Math.ceil((top + height) / rowHeight) + OVERSCAN)
  const indexes = Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index)

  const move = (to: number) => {
    const index = Math.max(0, Math.min(count - 1, to))
    const element = scroller.current as HTMLDivElement
    if (index * rowHeight < element.scrollTop) element.scrollTop = index * rowHeight
    const bottom = (index + 1) * rowHeight - element.clientHeight
    if (bottom > element.scrollTop) element.scrollTop = bottom
    onMove(index)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (count === 0 || event.ctrlKey || event.metaKey || event.altKey) return
    const page = Math.max(1, Math.floor(height / rowHeight) - 1)
    const from = active ?? -1
    const to = {
      ArrowDown: from + 1,
      j: from + 1,
      ArrowUp: from - 1,
      k: from - 1,
      PageDown: from + page,
      PageUp: from - page,
      Home: 0,
      End: count - 1
    }[event.key]
    if (to !== undefined) move(to)
    else if ((event.key === 'Enter' || event.key === ' ') && active !== undefined) onOpen(active)
    else return
    event.preventDefault()
  }
  const onScroll = () => {
    const element = scroller.current as HTMLDivElement
    before.current.isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < rowHeight
    setTop(element.scrollTop)
  }

  return (
    <div
      ref={scroller}
      class="virtual-list"
      role="listbox"
      tabIndex={0}
      aria-label={label}
      aria-activedescendant={active !== undefined && active >= first && active < end ? idOf(active) : undefined}
      onScroll={onScroll}
      onKeyDown={onKeyDown}
    >
      <div class="virtual-rows" role="presentation" style={{ height: `${count * rowHeight}px` }}>
        {indexes.map((index) => (
          <div
            key={idOf(index)}
            id={idOf(index)}
            class="virtual-row"
            role="option"
            tabIndex={-1}
            aria-selected={index === active}
            aria-setsize={count}
            aria-posinset={index + 1}
            style={{ transform: `translateY(${index * rowHeight}px)`, height: `${rowHeight}px` }}
            onClick={() => {
              onMove(index)
              onOpen(index)
            }}
          >
            {row(index)}
          </div>
        ))}
      </div>
    </div>
  )
}
