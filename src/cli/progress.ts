import { Presets, SingleBar } from 'cli-progress'

/** A progress bar on stderr, so that stdout holds only the answer. */
export const progressBar = (title: string, unit: 'events' | 'rows' | 'keys' = 'events') => {
  const bar = new SingleBar({ format: `${title} {bar} {percentage}% | {value}/{total} ${unit} | {eta_formatted} left`, stream: process.stderr, hideCursor: true, noTTYOutput: true, notTTYSchedule: 5000 }, Presets.shades_classic)
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
