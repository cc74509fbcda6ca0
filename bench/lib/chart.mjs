/** A chart as SVG: transparent, with colours that are legible on light and on dark. */

const WIDTH = 860
const HEIGHT = 340
const TOP = 64
const BOTTOM = 52
const PANEL = { left: 56, gap: 64, right: 24 }
const COLOURS = ['#2f81f7', '#8b949e', '#d29922', '#3fb950']

const STYLE = `text{font:12px system-ui,sans-serif;fill:#57606a}.title{font-weight:600;font-size:13px;fill:#24292f}
.grid{stroke:#8b949e;stroke-opacity:.3}.line{fill:none;stroke-width:2}
@media (prefers-color-scheme:dark){text{fill:#8d96a0}.title{fill:#e6edf3}}`

/**
 * Panels side by side, x on a logarithmic scale from minimum to maximum, y from 0.
 * @param panels each `{ title, series: [{ name, points: [[x, y], …] }] }`
 */
export function chartOf({ label, panels, xTitle }) {
  const width = (WIDTH - PANEL.left - PANEL.right - PANEL.gap * (panels.length - 1)) / panels.length
  const names = [...new Set(panels.flatMap(({ series }) => series.map(({ name }) => name)))]
  const colourOf = (name) => COLOURS[names.indexOf(name) % COLOURS.length]
  const drawn = panels.map((panel, index) =>
    panelOf(panel, { left: PANEL.left + index * (width + PANEL.gap), width, xTitle, colourOf })
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(label)}">
<style>${STYLE}</style>
${legendOf(names, colourOf)}
${drawn.join('\n')}
</svg>
`
}

function legendOf(names, colourOf) {
  let x = PANEL.left
  return names
    .map((name) => {
      const at = x
      x += 40 + name.length * 7
      return `<rect x="${at}" y="10" width="12" height="12" rx="2" fill="${colourOf(name)}"/><text x="${at + 18}" y="20">${escaped(name)}</text>`
    })
    .join('\n')
}

function panelOf({ title, series }, { left, width, xTitle, colourOf }) {
  const points = series.flatMap((one) => one.points)
  const xs = [...new Set(points.map(([x]) => x))].toSorted((a, b) => a - b)
  const step = stepOf(Math.max(...points.map(([, y]) => y)))
  const steps = Math.ceil(Math.max(...points.map(([, y]) => y)) / step)
  const bottom = HEIGHT - BOTTOM
  const [low, high] = [Math.log(xs[0]), Math.log(xs.at(-1))]
  const xOf = (x) => round(left + (high === low ? 0.5 : (Math.log(x) - low) / (high - low)) * width)
  const yOf = (y) => round(bottom - (y / (steps * step)) * (bottom - TOP))
  const grid = Array.from({ length: steps + 1 }, (_, index) => index * step).map(
    (y) =>
      `<path class="grid" d="M${left} ${yOf(y)}H${round(left + width)}"/><text x="${left - 8}" y="${yOf(y) + 4}" text-anchor="end">${round(y)}</text>`
  )
  const marks = roomy(xs, xOf).map(
    (x) => `<text x="${xOf(x)}" y="${bottom + 18}" text-anchor="middle">${x.toLocaleString('en-US')}</text>`
  )
  const lines = series.map(({ name, points: line }) => {
    const dots = line.map(([x, y]) => `<circle cx="${xOf(x)}" cy="${yOf(y)}" r="3" fill="${colourOf(name)}"/>`)
    const path = line.map(([x, y]) => `${xOf(x)} ${yOf(y)}`).join('L')
    return `<path class="line" stroke="${colourOf(name)}" d="M${path}"/>${dots.join('')}`
  })
  return [
    `<text class="title" x="${left}" y="${TOP - 18}">${escaped(title)}</text>`,
    ...grid,
    ...marks,
    `<text x="${round(left + width / 2)}" y="${bottom + 38}" text-anchor="middle">${escaped(xTitle)}</text>`,
    ...lines
  ].join('\n')
}

/** A round distance between grid lines, for about five of them. */
function stepOf(max) {
  const rough = max / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough)
}

/** The marks that do not overlap. */
function roomy(xs, xOf) {
  const kept = []
  for (const x of xs.toReversed()) if (kept.length === 0 || xOf(kept.at(-1)) - xOf(x) > 48) kept.push(x)
  return kept
}

const round = (value) => Math.round(value * 10) / 10
const escaped = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`)
