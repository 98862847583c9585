import { enableCompileCache } from 'node:module'

// A thread loads the program for itself: out of the cache in half the time.
enableCompileCache()
await import('./projector-thread.ts')
