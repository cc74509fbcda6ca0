const SHAPES = {
  live: 'M4 12h3l2.5-6 4 12L16.500 12H20',
  users:
    'M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20c.4-3.600 3-5.500 6.500-5.500s6.100 1.900 6.500 5.500M16 4.300a3.500 3.500 0 0 1 0 6.500M18 14.800c2 .8 3.200 2.600 3.500 5.200',
  topics: 'M9.500 4 7.500 20M16.500 4l-2 16M4.500 9h16M3.500 15h16',
  hub: 'M4 6.500C4 5 7.600 3.800 12 3.800S20 5 20 6.500 16.400 9.200 12 9.200 4 8 4 6.500zM4 6.500V12c0 1.500 3.600 2.700 8 2.700s8-1.200 8-2.700V6.500M4 12v5.500c0 1.500 3.600 2.700 8 2.700s8-1.200 8-2.700V12',
  diagnose:
    'M6 3.500v5a4.500 4.500 0 0 0 9 0v-5M6 3.500H4.500M15 3.500h1.500M10.500 13v3a4.500 4.500 0 0 0 9 0v-2M19.500 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4z',
  cut: 'M6.500 9a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM6.500 20a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM8.500 8 20 18M8.500 16 20 6',
  stop: 'M7 7h10v10H7z',
  play: 'M8 5.500v13l10.500-6.500z',
  pause: 'M8.500 5.500v13M15.500 5.500v13',
  again: 'M19.500 12a7.500 7.500 0 1 1-2.300-5.400M19.500 4v4.500H15',
  close: 'M6.500 6.500l11 11M17.500 6.500l-11 11',
  plus: 'M12 5v14M5 12h14',
  send: 'M20 4 10.500 13.500M20 4l-6 16-3.500-6.500L4 10z',
  search: 'M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM15.500 15.500 20 20',
  export: 'M12 4v10.500M8 11l4 4 4-4M4.500 19.500h15',
  copy: 'M9 9h10.500v10.500H9zM5.500 15H4.500V4.500H15v1',
  check: 'M5 12.500 10 17.500 19.500 7',
  key: 'M14.500 13.500a5 5 0 1 0-4.500-4.500l-6 6V19.500h4.500v-2.500H11v-2.500h2zM16 8h.01',
  learn: 'M12 4 2.500 9 12 14l9.500-5zM6 11.200V16c1.600 1.600 3.600 2.400 6 2.400s4.400-.8 6-2.400v-4.800',
  newest: 'M12 19.500v-15M6 10.500 12 4.500l6 6',
  oldest: 'M12 4.500v15M6 13.500l6 6 6-6',
  ban: 'M12 20.500a8.500 8.500 0 1 0 0-17 8.500 8.500 0 0 0 0 17zM6 6l12 12',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2.500V5M12 19v2.500M2.500 12H5M19 12h2.500M5.300 5.300 7 7M17 17l1.700 1.700M18.700 5.300 17 7M7 17l-1.700 1.700',
  moon: 'M20 14.500A8.500 8.500 0 0 1 9.500 4 8.500 8.500 0 1 0 20 14.500z',
  system: 'M3.500 5h17v11h-17zM9 20h6M12 16v4',
  trash: 'M5 7h14M9.500 7V4.500h5V7M7 7l.8 12.500h8.400L17 7M10.200 10.500v5.500M13.800 10.500v5.500',
  right: 'M9.500 6l6 6-6 6',
  left: 'M14.500 6l-6 6 6 6',
  more: 'M5.500 12h.01M12 12h.01M18.500 12h.01',
  gap: 'M4 12h4.500M15.500 12H20M10.500 7v10M13.500 7v10'
} as const

export type IconName = keyof typeof SHAPES

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={SHAPES[name]} />
    </svg>
  )
}

/** A button that shows an icon alone; its label is its name, and its tooltip. */
export function IconButton(props: {
  icon: IconName
  label: string
  onClick: () => void
  disabled?: boolean
  pressed?: boolean
  tone?: 'danger'
}) {
  const { icon, label, onClick, disabled, pressed, tone } = props
  return (
    <button
      type="button"
      class={`icon-button ${tone ?? ''}`}
      aria-label={label}
      title={label}
      onClick={onClick}
      disabled={disabled}
      aria-pressed={pressed}
    >
      <Icon name={icon} />
    </button>
  )
}
