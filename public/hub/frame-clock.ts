import { signal } from '@preact/signals'

/** Counts redraws. A component that reads it is drawn again after events arrived, at most once a frame. */
export const redraws = signal(0)

let isDue = false

/** Redraws in the next frame; in a hidden tab, where frames do not come, within a second. */
export function redrawSoon(): void {
  if (isDue) return
  isDue = true
  const redraw = () => {
    isDue = false
    redraws.value++
  }
  if (document.hidden) setTimeout(redraw, 1_000)
  else requestAnimationFrame(redraw)
}

// Ages and rates change without an event.
setInterval(redrawSoon, 1_000)
document.addEventListener('visibilitychange', () => {
  isDue = false
  redrawSoon()
})
