import { Presets, SingleBar } from 'cli-progress'

const REDRAW_MS = 100

type Shown = { title: string; events: number; position: bigint; end: bigint }

const duration = (seconds: number): string => (seconds < 90 ? `${Math.max(0, Math.ceil(seconds))} s` : `${Math.ceil(seconds / 60)} min`)

/** Progress on stderr, measured by positions, for nobody counts the events of a store beforehand; told in events. */
export const copyBar = () => {
  let bar: SingleBar | undefined
  let latest: Shown | undefined
  let first: Shown | undefined
  let since = 0
  let drawn = 0

  const draw = () => {
    if (!bar || !first || !latest) return
    const { title, events, position, end } = latest
    const seconds = Math.max(0.001, (performance.now() - since) / 1000)
    const left = ((Number(end) - Number(position)) / Math.max(1, Number(position) - Number(first.position))) * seconds
    bar.setTotal(Math.max(Number(end), Number(position)))
    bar.update(Number(position), { title, events: events.toLocaleString('en'), rate: Math.round((events - first.events) / seconds).toLocaleString('en'), left: duration(left) })
    drawn = performance.now()
  }
  const stop = () => {
    draw()
    bar?.stop()
    bar = undefined
    latest = undefined
  }
  const update = (shown: Shown) => {
    if (shown.title !== latest?.title) {
      stop()
      bar = new SingleBar({ format: '{title} {bar} {percentage}% | {events} events | {rate} events/s | {left} left', stream: process.stderr, hideCursor: true, noTTYOutput: true, notTTYSchedule: 5000 }, Presets.shades_classic)
      bar.start(Number(shown.end), Number(shown.position), { title: shown.title, events: shown.events, rate: 0, left: '…' })
      first = shown
      since = performance.now()
    }
    latest = shown
    if (performance.now() - drawn > REDRAW_MS) draw()
  }
  return { update, stop }
}
