import { useEffect, useRef, useState } from 'preact/hooks'
import type uPlot from 'uplot'
import { redraws } from '../hub/frame-clock.ts'
import { series, WINDOW } from '../hub/rates.ts'
import { theme } from '../state/preferences.ts'
import { number, t } from '../texts/texts.ts'

const CHARTS = ['events', 'deliveries', 'latency', 'streams'] as const
type Chart = (typeof CHARTS)[number]

const HEIGHT = 34

/** Four small charts of the last minute. */
export function Metrics() {
  return (
    <section class="metrics" aria-labelledby="metrics-title">
      <h2 id="metrics-title" class="unseen">
        {t('metrics.title')}
      </h2>
      {CHARTS.map((chart) => (
        <Metric key={chart} chart={chart} />
      ))}
    </section>
  )
}

function Metric({ chart }: { chart: Chart }) {
  void redraws.value
  const value = lastKnown(chart)
  return (
    <div class="metric">
      <span class="metric-name">{t(`metrics.${chart}`)}</span>
      <span class="metric-value">{value === undefined ? '–' : valueText(chart, value)}</span>
      <Sparkline chart={chart} />
    </div>
  )
}

function valueText(chart: Chart, value: number): string {
  const n = number(value, 1)
  return chart === 'latency' ? t('metrics.latency.value', { n }) : n
}

/** The last second; a latency stays until the next one. */
function lastKnown(chart: Chart): number | undefined {
  const value = chart === 'latency' ? series[chart].findLast((known) => known !== null) : series[chart].at(-1)
  return value ?? undefined
}

function Sparkline({ chart }: { chart: Chart }) {
  const host = useRef<HTMLDivElement>(null)
  const [Plot, setPlot] = useState<typeof uPlot>()
  const { value: chosen } = theme
  useEffect(() => {
    // Charts are not needed for the first picture.
    import('uplot').then(
      ({ default: loaded }) => setPlot(() => loaded),
      () => {}
    )
  }, [])
  useEffect(() => {
    const element = host.current as HTMLDivElement
    if (Plot === undefined) return
    const plot = new Plot(optionsOf(element, chart), dataOf(chart), element)
    const timer = setInterval(() => document.hidden || plot.setData(dataOf(chart)), 1_000)
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }))
    observer.observe(element)
    return () => {
      clearInterval(timer)
      observer.disconnect()
      plot.destroy()
    }
  }, [Plot, chart, chosen])
  return <div class="sparkline" ref={host} aria-hidden="true" />
}

function dataOf(chart: Chart): uPlot.AlignedData {
  return [series.time, series[chart]]
}

function optionsOf(element: HTMLElement, chart: Chart): uPlot.Options {
  const style = getComputedStyle(element)
  return {
    width: element.clientWidth,
    height: HEIGHT,
    cursor: { show: false },
    legend: { show: false },
    padding: [3, 0, 1, 0],
    axes: [{ show: false }, { show: false }],
    scales: {
      x: { time: false, range: () => [Date.now() / 1_000 - WINDOW, Date.now() / 1_000] },
      y: { range: (_plot, _min, max) => [0, Math.max(1, max * 1.1)] }
    },
    series: [
      {},
      {
        stroke: style.color,
        fill: style.fill,
        width: 1.25,
        points: { show: false },
        spanGaps: chart === 'latency'
      }
    ]
  }
}
