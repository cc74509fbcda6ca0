import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { t } from '../texts/texts.ts'
import { IconButton } from './icon.tsx'

/** A modal dialog, which on a phone is a sheet at the bottom of the screen. Escape and a click beside it close it. */
export function Dialog(props: {
  title: string
  kind?: 'palette' | 'wide'
  onClose: () => void
  children: ComponentChildren
}) {
  const { title, kind = '', onClose, children } = props
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const element = dialog.current as HTMLDialogElement
    const opener = document.activeElement as HTMLElement | null
    element.showModal()
    return () => {
      element.close()
      // Safari does not focus a clicked button, so it would not return there.
      opener?.focus?.({ preventScroll: true })
    }
  }, [])
  return (
    <dialog
      ref={dialog}
      class={`dialog ${kind}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      onMouseDown={(event) => event.target === dialog.current && onClose()}
    >
      <div class="dialog-body">
        <header class={kind === 'palette' ? 'unseen' : 'dialog-head'}>
          <h2 id={id}>{title}</h2>
          <IconButton icon="close" label={t('close')} onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  )
}
