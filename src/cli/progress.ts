import progress, { type Options } from 'cli-progress'

const { Format, Presets, SingleBar } = progress

/** Before it is known how fast it goes, nobody can say how long it takes. */
const timeLeft = (seconds: number, options: Options, roundTo: number): string => (Number.isFinite(seconds) ? Format.TimeFormat(seconds, options, roundTo) : '…')

/** A progress bar on stderr, so that stdout holds only the answer. */
export const progressBar = (title: string, unit: 'events' | 'rows' | 'keys' = 'events') => {
  const bar = new SingleBar({ format: `${title} {bar} {percentage}% | {value}/{total} ${unit} | {eta_formatted} left`, stream: process.stderr, hideCursor: true, formatTime: timeLeft, noTTYOutput: true, notTTYSchedule: 5000 }, Presets.shades_classic)
  let started = false
  return {
    update: (position: bigint, end: bigint) => {
      if (!started) bar.start(Number(end), Number(position))
      started = true
      bar.setTotal(Number(end))
      bar.update(Number(position))
    },
    stop: () => {
      if (started) bar.stop()
    },
  }
}
