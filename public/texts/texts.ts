import { language } from '../state/preferences.ts'
import { en } from './en.ts'
import { zh } from './zh.ts'

export type Params = Readonly<Record<string, unknown>>
/** A text, or a function of its parameters. */
export type Text = string | ((params: never) => string)
export type TextKey = keyof typeof en

const TEXTS: Record<'en' | 'zh', Record<string, Text>> = { en, zh }

/** The text of a key in the language in use. A component that calls it is drawn again when the language changes. */
export function t(key: TextKey, params: Params = {}): string {
  return textOf(key, params)
}

/** The same for a key that comes from data, such as a close reason; an unknown key is shown as it is. */
export function textOf(key: string, params: Params = {}, otherwise = key): string {
  const texts = TEXTS[language.value]
  const text = Object.hasOwn(texts, key) ? texts[key] : undefined
  if (text === undefined) return otherwise
  return typeof text === 'string' ? text : (text as (params: Params) => string)(params)
}

const locale = () => (language.value === 'zh' ? 'zh-CN' : 'en-GB')

/** `12:03:04.567` */
export function clockTime(time: number): string {
  const date = new Date(time)
  const two = (number: number) => String(number).padStart(2, '0')
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
  return `${clock}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

export function dateTime(time: string | number): string {
  const date = new Date(time)
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'medium' }).format(date)
}

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value)
}

/** `1.5 MB` */
export function bytes(value: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3))
  return `${number(value / 1_000 ** power, power === 0 ? 0 : 1)} ${units[power]}`
}

/** How long ago, in one unit. */
export function age(since: string | number): string {
  const seconds = Math.max(0, Math.round((Date.now() - new Date(since).getTime()) / 1_000))
  return duration(seconds * 1_000)
}

/** `90 s`, `12 min`, `3 h`, `2 d` */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1_000
  if (seconds < 120) return t('unit.seconds', { n: number(seconds, seconds < 10 && seconds % 1 ? 1 : 0) })
  if (seconds < 7_200) return t('unit.minutes', { n: number(seconds / 60) })
  if (seconds < 172_800) return t('unit.hours', { n: number(seconds / 3_600) })
  return t('unit.days', { n: number(seconds / 86_400) })
}

/** An error of the hub with its code, or what the page knows about it. */
export function problemText(problem: unknown): string {
  const { code = 'ERROR', message = '' } = problem as { code?: string; message?: string }
  const known = textOf(`error.${code}`, {}, '')
  return known || [code, message].filter(Boolean).join(': ')
}
